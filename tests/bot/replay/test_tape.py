"""What is written down of the services' answers."""

import errno

import pytest

from halfcascade.bot.replay.tape import TapeWriter
from halfcascade.bot.session.redaction import Redactor


class FullDisk:
    """A file on a disk that takes nothing more."""

    def write(self, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        pass


@pytest.mark.parametrize("sound", [b"", bytes(4800)], ids=["lines", "sound"])
def test_a_tape_on_a_full_disk_says_so_once_and_keeps_nothing_in_memory(tmp_path, sound):
    told: list[str] = []
    writer = TapeWriter(tmp_path, Redactor(), told.append)
    writer._lines.close()
    writer._audio.close()
    writer._lines = writer._audio = FullDisk()  # type: ignore[assignment]
    writer.write({"service": "voice"}, sound)
    writer._thread.join(timeout=10.0)
    for _ in range(100):
        writer.write({"service": "voice"}, sound)
    assert writer._queue.empty()
    writer.close()
    assert len(told) == 1 and "No space left on device" in told[0]
