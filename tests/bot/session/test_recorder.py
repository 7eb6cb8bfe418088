import io
import threading
import time

import numpy as np
import pytest
import soundfile

from halfcascade.bot.session.clock import SessionClock
from halfcascade.bot.session.recorder import RECORDING_RATE, Recorder
from halfcascade.bot.session.recording import RecordingFormat, RecordingOptions, recordings
from halfcascade.bot.session.sound_files import duration, read_blocks


def wait_for(condition, secs: float = 10.0):
    deadline = time.monotonic() + secs
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def play(recorder: Recorder, secs: float, start: float = 1000.0):
    for number in range(round(secs / 0.02)):
        at = start + number * 0.02
        recorder.captured(np.full(320, 1_000, dtype="<i2").tobytes(), 16_000, at)
        recorder.played(np.full(480, 2_000, dtype="<i2").tobytes(), 24_000, at)


def test_both_directions_are_recorded_from_the_first_sample_to_the_last(tmp_path):
    clock = SessionClock()
    recorder = Recorder(tmp_path, clock)
    play(recorder, 2.0)
    recorder.close()
    sound, rate = soundfile.read(tmp_path / "conversation.wav", dtype="int16")
    info = soundfile.info(tmp_path / "conversation.wav")
    assert (rate, info.subtype, info.channels) == (RECORDING_RATE, "PCM_16", 2)
    assert len(sound) == 2 * RECORDING_RATE
    assert np.abs(sound[2_000:46_000, 0] - 1_000).max() < 20
    assert (sound[:, 1] == 2_000).all()
    assert clock.origin == 1000.0
    assert clock.seconds(1001.5) == 1.5
    assert clock.seconds(999.0) == 0.0


def test_the_file_is_whole_while_it_grows(tmp_path):
    recorder = Recorder(tmp_path, SessionClock())
    assert soundfile.info(tmp_path / "conversation.wav").frames == 0
    play(recorder, 3.0)
    # Nobody closes it, as in a crash: what a reader sees is a valid file with all but what is still to be mixed.
    wait_for(lambda: soundfile.info(tmp_path / "conversation.wav").frames > 2.9 * RECORDING_RATE)
    recorder.close()
    assert soundfile.info(tmp_path / "conversation.wav").frames == 3 * RECORDING_RATE


class Snapshots:
    """A file that keeps what is on disk after each write."""

    def __init__(self, file, path):
        self._file, self._path = file, path
        self.taken: list[bytes] = []

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        written = self._file.write(data)
        self.taken.append(self._path.read_bytes())
        return written


def test_a_process_that_is_killed_between_any_two_writes_leaves_a_valid_file(tmp_path):
    recorder = Recorder(tmp_path, SessionClock())
    snapshots = recorder._file._wave._file = Snapshots(  # type: ignore[attr-defined]  # of the standard library
        recorder._file._wave._file,  # type: ignore[attr-defined]
        tmp_path / "conversation.wav",
    )
    for second in range(3):
        play(recorder, 1.0, 1000.0 + second)
        wait_for(
            lambda second=second: soundfile.info(tmp_path / "conversation.wav").frames > (second + 0.5) * RECORDING_RATE
        )
    recorder.close()
    lengths = []
    for snapshot in snapshots.taken:
        sound, _ = soundfile.read(io.BytesIO(snapshot), dtype="int16")
        lengths.append(len(sound))
        assert (sound[:, 1] == 2_000).all()
    assert lengths == sorted(lengths)
    assert lengths[-1] == 3 * RECORDING_RATE


def test_a_disk_that_refuses_ends_the_recording_with_one_line(tmp_path, monkeypatch):
    told = []
    recorder = Recorder(tmp_path, SessionClock(), on_error=told.append)

    def refuse(data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder._file, "write", refuse)
    wait_for(lambda: told)
    play(recorder, 0.1)
    recorder.close()
    assert len(told) == 1
    assert "No space left" in told[0]
    assert "\n" not in told[0]


def test_a_disk_that_hangs_fills_no_memory_and_the_file_is_silent_where_it_lacks_sound(tmp_path, monkeypatch):
    told: list[str] = []
    recorder = Recorder(tmp_path, SessionClock(), on_error=told.append)
    recorder._blocks._most = 3 * 2 * RECORDING_RATE  # bytes: three seconds of a side
    hanging, goes_on = threading.Event(), threading.Event()
    write = recorder._file.write

    def hang(data):
        hanging.set()
        assert goes_on.wait(10)
        write(data)

    monkeypatch.setattr(recorder._file, "write", hang)
    assert hanging.wait(10)
    block = np.full(RECORDING_RATE, 2_000, "<i2").tobytes()
    for second in range(8):
        recorder.captured(block, RECORDING_RATE, 100.0 + second)
    assert recorder._blocks.waiting <= 3 * len(block)
    assert len(told) == 1 and "lacks sound from 3.0 s on" in told[0]
    goes_on.set()
    wait_for(lambda: len(told) == 2)
    assert "between 3.0 and 8.0 s" in told[1]
    recorder.captured(block, RECORDING_RATE, 108.0)
    recorder.close()
    sound = heard(recordings(tmp_path))[:, 0]
    levels = [int(abs(sound[second * RECORDING_RATE : (second + 1) * RECORDING_RATE]).min()) for second in range(9)]
    assert levels == [2_000] * 3 + [0] * 5 + [2_000] and len(told) == 2


def test_a_recorder_that_fails_for_any_reason_says_so_and_takes_nothing_more(tmp_path, monkeypatch):
    told = []
    recorder = Recorder(tmp_path, SessionClock(), on_error=told.append)
    monkeypatch.setattr(recorder._mixer, "take", lambda: 1 / 0)
    wait_for(lambda: told)
    play(recorder, 1.0)
    assert recorder._blocks.waiting == 0, "the memory does not fill"
    recorder.close()
    assert len(told) == 1


def heard(paths):
    return np.concatenate([block for block, _ in read_blocks(paths, 60)])


def hum(secs: float) -> np.ndarray:
    """What differs from sample to sample, as sound does."""
    return (3_000 * np.sin(np.arange(round(secs * RECORDING_RATE)) * 0.05)).astype("<i2")


def record(folder, options: RecordingOptions, secs: float) -> Recorder:
    recorder = Recorder(folder, SessionClock(), options)
    for number, block in enumerate(np.split(hum(secs), round(secs / 0.02))):
        recorder.captured(block.tobytes(), RECORDING_RATE, 1000.0 + number * 0.02)
        recorder.played(block.tobytes(), RECORDING_RATE, 1000.0 + number * 0.02)
    return recorder


@pytest.mark.parametrize("kind", RecordingFormat)
def test_every_format_holds_the_same_from_the_first_sample_to_the_last(tmp_path, kind):
    record(tmp_path, RecordingOptions(kind), 2.0).close()
    [path] = recordings(tmp_path)
    sound = heard([path])
    assert path.suffix == f".{kind}"
    assert len(sound) == 2 * RECORDING_RATE == duration(path) * RECORDING_RATE
    off = np.abs(sound[2_000:-2_000].astype(int) - hum(2.0)[2_000:-2_000, None]).max()
    assert off <= (600 if kind is RecordingFormat.OPUS else 0)


@pytest.mark.parametrize("kind", RecordingFormat)
def test_parts_follow_each_other_without_losing_a_sample(tmp_path, kind):
    record(tmp_path, RecordingOptions(kind, part_secs=0.75), 2.0).close()
    parts = recordings(tmp_path)
    assert [path.stem for path in parts] == ["conversation", "conversation-2", "conversation-3"]
    assert [duration(path) for path in parts] == [0.75, 0.75, 0.5]
    assert len(heard(parts)) == 2 * RECORDING_RATE


@pytest.mark.parametrize(("kind", "lost_secs"), [("wav", 0.3), ("flac", 0.8), ("opus", 2.0)])
def test_a_process_that_is_killed_leaves_what_was_written(tmp_path, kind, lost_secs):
    recorder = record(tmp_path, RecordingOptions(RecordingFormat(kind)), 5.0)
    path, copied = tmp_path / f"conversation.{kind}", tmp_path / f"killed.{kind}"

    def enough() -> bool:
        copied.write_bytes(path.read_bytes())
        try:
            return len(heard([copied])) >= (5.0 - lost_secs) * RECORDING_RATE
        except (OSError, ValueError):
            return False

    wait_for(enough)
    recorder.close()


def test_other_files_are_no_parts(tmp_path):
    for name in ("conversation.txt", "conversation-x.wav", "conversation-10.wav", "conversation-2.wav", "other.wav"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in recordings(tmp_path)] == ["conversation-2.wav", "conversation-10.wav"]
