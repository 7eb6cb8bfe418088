import io
import time

import numpy as np
import soundfile

from halfcascade.bot.session.clock import SessionClock
from halfcascade.bot.session.recorder import RECORDING_RATE, Recorder


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
    recorder = Recorder(tmp_path / "c.wav", clock)
    play(recorder, 2.0)
    recorder.close()
    sound, rate = soundfile.read(tmp_path / "c.wav", dtype="int16")
    info = soundfile.info(tmp_path / "c.wav")
    assert (rate, info.subtype, info.channels) == (RECORDING_RATE, "PCM_16", 2)
    assert len(sound) == 2 * RECORDING_RATE
    assert np.abs(sound[2_000:46_000, 0] - 1_000).max() < 20
    assert (sound[:, 1] == 2_000).all()
    assert clock.origin == 1000.0
    assert clock.seconds(1001.5) == 1.5
    assert clock.seconds(999.0) == 0.0


def test_the_file_is_whole_while_it_grows(tmp_path):
    recorder = Recorder(tmp_path / "c.wav", SessionClock())
    assert soundfile.info(tmp_path / "c.wav").frames == 0
    play(recorder, 3.0)
    # Nobody closes it, as in a crash: what a reader sees is a valid file with all but what is still to be mixed.
    wait_for(lambda: soundfile.info(tmp_path / "c.wav").frames > 2.9 * RECORDING_RATE)
    recorder.close()
    assert soundfile.info(tmp_path / "c.wav").frames == 3 * RECORDING_RATE


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
    recorder = Recorder(tmp_path / "c.wav", SessionClock())
    snapshots = recorder._wave._file = Snapshots(  # type: ignore[attr-defined]  # of the standard library
        recorder._wave._file,  # type: ignore[attr-defined]
        tmp_path / "c.wav",
    )
    for second in range(3):
        play(recorder, 1.0, 1000.0 + second)
        wait_for(lambda second=second: soundfile.info(tmp_path / "c.wav").frames > (second + 0.5) * RECORDING_RATE)
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
    recorder = Recorder(tmp_path / "c.wav", SessionClock(), on_error=told.append)

    def refuse(data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder._wave, "writeframes", refuse)
    wait_for(lambda: told)
    play(recorder, 0.1)
    recorder.close()
    assert len(told) == 1
    assert "No space left" in told[0]
    assert "\n" not in told[0]


def test_a_recorder_that_fails_for_any_reason_says_so_and_takes_nothing_more(tmp_path, monkeypatch):
    told = []
    recorder = Recorder(tmp_path / "c.wav", SessionClock(), on_error=told.append)
    monkeypatch.setattr(recorder._mixer, "take", lambda: 1 / 0)
    wait_for(lambda: told)
    play(recorder, 1.0)
    assert recorder._blocks.qsize() == 0, "the memory does not fill"
    recorder.close()
    assert len(told) == 1
