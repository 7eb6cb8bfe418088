"""Temporary folders: whatever ends their owner, none is left for long."""

import asyncio
import gc
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from halfcascade.emulator import listening
from halfcascade.emulator.folders import HeldFolder

OWNER = """
import os, signal, sys, time
from halfcascade.emulator.folders import HeldFolder
folder = HeldFolder("halfcascade-t-")
print(folder.path, flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "lives":
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder for temporary ones, for this process and those it starts."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def owner(manner: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", OWNER, manner], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def made(place) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_it_goes_with_its_object_and_when_it_is_removed(place):
    removed, forgotten = HeldFolder("t-"), HeldFolder("t-")
    (removed.path / "file.txt").write_text("")
    removed.remove()
    removed.remove()
    assert made(place) == [forgotten.path.name]
    del forgotten
    gc.collect()
    assert made(place) == []


def test_an_end_in_order_leaves_none(place):
    owner("ends").communicate(timeout=60)
    assert made(place) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks no files as this does")
def test_only_what_a_killed_process_left_is_swept_and_of_this_kind(place):
    with owner("lives") as living:
        lives = living.stdout.readline().decode().strip()
        with owner("killed") as killed:
            left = killed.stdout.readline().decode().strip()
            killed.communicate(timeout=60)
        assert killed.returncode == -signal.SIGKILL and Path(left).exists()
        (place / "halfcascade-t-somebody's").mkdir()
        other = HeldFolder("halfcascade-u-")
        assert Path(left).exists()
        mine = HeldFolder("halfcascade-t-")
        assert sorted(map(str, place.iterdir())) == sorted(
            [lives, str(mine.path), str(other.path), str(place / "halfcascade-t-somebody's")]
        )
        living.stdin.close()


async def test_a_certificate_whose_making_is_given_up_leaves_nothing(place, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    class Slow(listening.LoopbackCertificate):
        def __init__(self, names):
            super().__init__(names)
            begun.set()
            go_on.wait(60)

    monkeypatch.setattr(listening, "LoopbackCertificate", Slow)
    opening = asyncio.create_task(listening.Ports().open(None, None))
    await asyncio.to_thread(begun.wait, 60)
    assert len(made(place)) == 1
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    go_on.set()
    async with asyncio.timeout(60):
        while made(place):
            gc.collect()
            await asyncio.sleep(0.01)
