import asyncio
import json

import numpy as np
import pytest
import soundfile

from bot.session.folder import Session
from bot.session.redaction import Redactor
from processors.errors import ConfigurationError


def events(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


async def test_all_files_exist_from_the_first_moment(tmp_path):
    session = Session(tmp_path / "new" / "s", Redactor())
    names = sorted(path.name for path in session.folder.iterdir())
    assert names == ["conversation.wav", "events.jsonl", "metrics.json", "transcript.md"]
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


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigurationError, match="--session"):
        Session(file / "s", Redactor())
