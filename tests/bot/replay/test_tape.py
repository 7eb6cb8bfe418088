"""What is written down of the services' answers."""

import errno
import json
import threading
from typing import Any

import pytest

from halfcascade.bot.replay.tape import TapeWriter
from halfcascade.bot.session.names import SERVICES
from halfcascade.bot.session.redaction import Redactor


class FullDisk:
    """A file on a disk that takes nothing more."""

    def write(self, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        pass


class HangingDisk:
    """A file on a disk that takes its time."""

    def __init__(self, file: Any):
        self._file = file
        self.hangs, self.goes_on = threading.Event(), threading.Event()

    def write(self, data: bytes) -> int:
        self.hangs.set()
        assert self.goes_on.wait(10)
        return int(self._file.write(data))

    def close(self) -> None:
        self._file.close()


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
    assert writer._queue.waiting == 0
    writer.close()
    assert len(told) == 1 and "No space left on device" in told[0]


def test_a_tape_on_a_disk_that_hangs_keeps_no_more_than_fits_and_counts_what_it_lacks(tmp_path):
    told: list[str] = []
    writer = TapeWriter(tmp_path, Redactor(), told.append)
    writer._queue._most = 4_500  # bytes: four lines
    disk = HangingDisk(writer._lines)
    writer._lines = disk  # type: ignore[assignment]
    writer.write({"number": 0})
    assert disk.hangs.wait(10)
    for number in range(1, 20):
        writer.write({"number": number})
    assert writer._queue.waiting <= 4_500
    disk.goes_on.set()
    writer.close()
    lines = [json.loads(line) for line in (tmp_path / SERVICES).read_text().splitlines()]
    written = [line["number"] for line in lines if "number" in line]
    assert written == [0, 1, 2, 3, 4]
    assert sum(line["lines"] for line in lines if line.get("kind") == "lost") == 15
    assert len(told) == 1 and "does not keep up" in told[0]
