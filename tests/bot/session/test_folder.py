import asyncio
import concurrent.futures
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from halfcascade.bot.session.folder import Session
from halfcascade.bot.session.redaction import Redactor
from halfcascade.processors.errors import ConfigurationError


def events(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


async def test_all_files_exist_from_the_first_moment(tmp_path):
    session = Session(tmp_path / "new" / "s", Redactor())
    names = sorted(path.name for path in session.folder.iterdir())
    assert names == ["conversation.wav", "events.jsonl", "metrics.json", "transcript.md"]
    await session.close("finished")


async def test_an_earlier_session_is_kept_and_the_next_gets_a_number(tmp_path):
    folders = []
    for number in range(3):
        session = Session(tmp_path / "s", Redactor())
        session.start({})
        session.emit("turn_sent", text=f"Number {number}.", turn=1, attempt=1)
        await session.close("finished")
        folders.append(session.folder)
    assert folders == [tmp_path / "s", tmp_path / "s-2", tmp_path / "s-3"]
    for number, folder in enumerate(folders):
        assert events(folder)[1]["text"] == f"Number {number}."
        assert f"Number {number}." in (folder / "transcript.md").read_text()


async def test_what_is_left_of_an_earlier_session_is_kept_too(tmp_path):
    (tmp_path / "conversation.wav").write_bytes(b"all that a tidy person kept")
    session = Session(tmp_path, Redactor())
    await session.close("finished")
    assert session.folder == tmp_path.with_name(f"{tmp_path.name}-2")
    assert (tmp_path / "conversation.wav").read_bytes() == b"all that a tidy person kept"


async def test_a_folder_with_other_things_in_it_is_used_as_it_is(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    session = Session(tmp_path, Redactor())
    await session.close("finished")
    assert session.folder == tmp_path
    assert (tmp_path / "notes.txt").read_text() == "mine"


async def test_the_working_directory_can_be_the_folder_once(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    for place in (home, tmp_path / "home-2"):
        session = Session(Path(), Redactor())
        await session.close("finished")
        assert session.folder.resolve() == place


async def test_two_at_the_same_moment_do_not_share_a_folder(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        sessions = list(threads.map(lambda _: Session(tmp_path / "s", Redactor()), range(8)))
    assert len({session.folder for session in sessions}) == 8
    for session in sessions:
        await session.close("finished")


async def test_events_are_on_disk_at_once_and_documents_soon_after(tmp_path):
    session = Session(tmp_path, Redactor())
    session.start({"model": "m"})
    session.emit("turn_sent", text="Hello.", turn=1, attempt=1)
    assert [event["type"] for event in events(tmp_path)] == ["session_started", "turn_sent"]
    for _ in range(200):
        if "Hello." in (tmp_path / "transcript.md").read_text():
            break
        await asyncio.sleep(0.05)
    assert json.loads((tmp_path / "metrics.json").read_text())["turns"][0]["text"] == "Hello."
    await session.close("finished")
    assert events(tmp_path)[-1] == {"t": 0.0, "type": "session_ended", "reason": "finished"}


async def test_times_are_on_the_recordings_clock(tmp_path):
    session = Session(tmp_path, Redactor())
    session.start({})
    silence, sound = np.zeros(480, dtype="<i2"), np.full(480, 5_000, dtype="<i2")
    for number in range(100):
        block = sound if 10 <= number < 20 else silence
        session.played(block.tobytes(), 24_000, 500.0 + number * 0.02)
    await asyncio.sleep(0)
    session._take("user_started", 500.3, {"speech_at": 500.1})
    await session.close("finished")
    told = {event["type"]: event for event in events(tmp_path)}
    assert told["sound_began"]["t"] == 0.2
    assert told["sound_ended"]["t"] == pytest.approx(0.4, abs=0.001)
    assert told["user_started"] == {"t": 0.3, "type": "user_started", "speech_at": 0.1}
    recording, _ = soundfile.read(tmp_path / "conversation.wav", dtype="int16")
    assert int(np.argmax(recording[:, 1] > 0)) == 0.2 * 24_000


async def test_secrets_reach_no_file(tmp_path):
    session = Session(tmp_path, Redactor(["very-secret-key"]))
    session.start({"model": "very-secret-key"})
    told = []
    session.listen(told.append)
    session.emit("error", message="key very-secret-key was refused", source="x", permanent=True)
    await session.close("very-secret-key")
    for path in tmp_path.iterdir():
        assert b"very-secret-key" not in path.read_bytes()
    assert "very-secret-key" not in str(told)


async def test_events_after_the_end_are_ignored(tmp_path):
    session = Session(tmp_path, Redactor())
    await session.close("finished")
    session.emit("error", message="too late", source="x", permanent=True)
    await session.close("again")
    assert events(tmp_path)[-1]["reason"] == "finished"


async def test_a_listener_that_fails_costs_nothing(tmp_path):
    session = Session(tmp_path, Redactor())

    def fail(event):
        raise RuntimeError("the display is broken")

    session.listen(fail)
    session.start({})
    session.played(np.full(24_000, 5_000, dtype="<i2").tobytes(), 24_000, 500.0)
    await session.close("finished")
    assert events(tmp_path)[-1]["type"] == "session_ended"
    assert soundfile.info(tmp_path / "conversation.wav").frames == 24_000


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigurationError, match="--session"):
        Session(file / "s", Redactor())


async def test_a_full_disk_costs_one_warning_a_file_and_what_comes_later_is_written(tmp_path, monkeypatch):
    session = Session(tmp_path / "s", Redactor())
    session.start({})
    log: Any = session._log

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    class Full:
        write = staticmethod(full)
        close = log._file.close

    kept, log._file = log._file, Full
    monkeypatch.setattr("pathlib.Path.write_text", full)
    for number in range(5):
        session.emit("interim", text=f"word {number}")
    session._save()
    session._save()
    await asyncio.sleep(0.05)
    messages = [entry.message for entry in session.transcript.entries]
    assert len(messages) == 3
    assert session.incomplete == ["events.jsonl", "metrics.json", "transcript.md"]
    assert all("No space left" in message and "\n" not in message for message in messages)
    monkeypatch.undo()
    log._file = kept
    session.emit("final", text="later")
    await session.close("finished")
    lines = [json.loads(line) for line in (tmp_path / "s" / "events.jsonl").read_text().splitlines()]
    assert [line["type"] for line in lines][-2:] == ["final", "session_ended"]
    assert "later" in (tmp_path / "s" / "transcript.md").read_text()
    assert session.incomplete == ["events.jsonl"], "what was replaced whole lacks nothing"


async def test_what_cannot_be_told_once_costs_no_later_word(tmp_path, monkeypatch):
    session = Session(tmp_path / "s", Redactor())
    session.start({})
    monkeypatch.setattr("halfcascade.bot.session.folder._SAVE_SECS", 0.02)
    monkeypatch.setattr(session, "_documents", lambda: 1 / 0)
    session.emit("final", text="broken")
    await asyncio.sleep(0.6)
    monkeypatch.undo()
    session.emit("final", text="mended")
    path = tmp_path / "s" / "transcript.md"
    for _ in range(1000):
        if "mended" in path.read_text():
            break
        await asyncio.sleep(0.02)
    else:
        pytest.fail("the writer has died")
    await session.close("finished")


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_the_folder_is_its_owners_alone(tmp_path):
    session = Session(tmp_path / "new" / "s", Redactor())
    assert (tmp_path / "new" / "s").stat().st_mode & 0o777 == 0o700
    session._recorder.close()
    session._log.close()


async def test_the_end_waits_for_documents_that_are_being_written(tmp_path, monkeypatch):
    writing, go_on, write = threading.Event(), threading.Event(), Path.write_text

    def slowly(path, text, **how):
        written = write(path, text, **how)
        if threading.current_thread() is not threading.main_thread():
            writing.set()
            assert go_on.wait(60)
        return written

    monkeypatch.setattr(Path, "write_text", slowly)
    session = Session(tmp_path / "s", Redactor())
    session.start({})
    session.emit("turn_sent", text="Early.", turn=1, attempt=1)
    await asyncio.to_thread(writing.wait, 60)
    session.emit("turn_sent", text="Late.", turn=2, attempt=1)
    closing = asyncio.create_task(session.close("finished"))
    # Time for an end that does not wait.
    await asyncio.sleep(0.2)
    go_on.set()
    await closing
    await asyncio.get_running_loop().shutdown_default_executor()
    assert session.incomplete == []
    assert "Late." in (session.folder / "transcript.md").read_text()
