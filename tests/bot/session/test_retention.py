"""Old session folders are deleted, and nothing else."""

import os
import time

from halfcascade.bot.session.retention import forget_old_sessions

DAY = 86_400


def made(folder, name, days, *, session=True):
    path = folder / name
    path.mkdir()
    if session:
        (path / "events.jsonl").write_text("")
    os.utime(path, (time.time() - days * DAY,) * 2)
    return path


def test_only_sessions_that_are_old_enough_are_deleted(tmp_path):
    old, new = made(tmp_path, "old", 8), made(tmp_path, "new", 6)
    other = made(tmp_path, "photos", 100, session=False)
    (tmp_path / "note.txt").write_text("")
    assert forget_old_sessions(tmp_path, 7) == [old]
    assert not old.exists() and new.exists() and other.exists()


def test_a_folder_that_is_not_there_is_no_trouble(tmp_path):
    assert forget_old_sessions(tmp_path / "none", 1) == []
