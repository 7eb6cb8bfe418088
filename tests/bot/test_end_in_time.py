"""The end that a signal asks for comes within what is promised, whatever hangs; on a clock that no load bends."""

import asyncio
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest

from halfcascade.bot.backend import Emulator
from halfcascade.bot.conversation import Conversation
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.replay import virtual_time
from halfcascade.bot.settings import Settings
from halfcascade.bot.talk import Talk
from halfcascade.bot.terminal import Terminal
from halfcascade.bot.toolbox import Toolbox

PROMISED = {signal.SIGINT: 3.0, signal.SIGTERM: 10.0}
WHAT_HANGS = ("nothing", "start", "talk", "cancel", "emulator", "tools", "record", "watchers", "everything")


async def for_ever(*_: object, **__: object) -> None:
    """Take no notice of being cancelled, until the test lets go."""
    while not LET_GO[0].is_set():
        with suppress(asyncio.CancelledError):
            await LET_GO[0].wait()


LET_GO: list[asyncio.Event] = []


class Stuck:
    """A process that notices no signal but the last, or a server of tools that hangs."""

    returncode = None
    killed = False

    def terminate(self) -> None:
        """Take no notice."""

    def kill(self) -> None:
        self.killed = True

    async def wait(self) -> None:
        while not self.killed and not LET_GO[0].is_set():  # noqa: ASYNC110 - as a real one is looked after
            await asyncio.sleep(0.01)

    async def close(self, secs: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(LET_GO[0].wait(), secs)


class Worker:
    """A pipeline that may not want to be cancelled."""

    def __init__(self, talk: "StuckTalk", *, stuck: bool):
        self.cancel = for_ever if stuck else talk.cancel


class StuckTalk(Talk):
    """A talk with nothing in it that could end by itself."""

    def __init__(self, outcome: Outcome, hangs: str):
        self._outcome, self._tasks = outcome, set()
        self._stuck, self._over = hangs in ("talk", "everything"), asyncio.Event()
        worker: Any = Worker(self, stuck=hangs in ("cancel", "everything"))
        self.worker = worker

    async def cancel(self, reason: str) -> None:
        self._over.set()

    async def _run_pipeline(self) -> None:
        await (for_ever() if self._stuck else self._over.wait())


class Record:
    """What the talk's services said, on a disk that hangs."""

    close = staticmethod(for_ever)


class Quiet(Terminal):
    """Shows nothing."""

    @asynccontextmanager
    async def watching(self, *_: object):
        yield


class StuckConversation(Conversation):
    """A conversation of which something hangs."""

    def __init__(self, outcome: Outcome, folder, hangs: str):
        session: Any = SimpleNamespace(folder=folder)
        super().__init__(Settings(_env_file=None), session, Quiet(), outcome, mirror=False, mind="scripted")
        self._hangs = hangs

    def hang(self, *what: str) -> bool:
        return self._hangs in (*what, "everything")

    async def _prepare(self) -> Any:
        stuck: Any = Stuck()
        record: Any = Record()
        if self.hang("emulator"):
            self._emulator._process = stuck
        if self.hang("tools"):
            self._toolbox = Toolbox(builtin=False)
            self._toolbox._servers += [stuck, stuck, stuck]
        if self.hang("record"):
            self._recorded = record
        if self.hang("watchers"):
            self._watchers.add(asyncio.create_task(for_ever()))
        if self._hangs == "start":
            await for_ever()
        return StuckTalk(self._outcome, self._hangs)


@pytest.mark.parametrize("hangs", WHAT_HANGS)
@pytest.mark.parametrize("number", PROMISED)
def test_whatever_hangs_the_conversation_is_over_in_time(tmp_path, number, hangs):
    async def hold() -> float:
        LET_GO[:] = [asyncio.Event()]
        outcome = Outcome()
        conversation = asyncio.create_task(StuckConversation(outcome, tmp_path, hangs).run())
        await asyncio.sleep(5.0)
        assert not conversation.done()
        began = time.monotonic()
        outcome.end("a signal", number)
        await conversation
        took = time.monotonic() - began
        LET_GO[0].set()
        await asyncio.sleep(1.0)
        return took

    took = virtual_time.run(hold())
    assert took < PROMISED[number]
    assert hangs != "nothing" or took < 0.1


def test_an_emulator_that_takes_no_notice_is_killed(tmp_path):
    async def hold() -> Stuck:
        LET_GO[:] = [asyncio.Event()]
        emulator = Emulator(tmp_path)
        process: Any = Stuck()
        emulator._process = process
        await emulator.stop(0.5)
        return process

    assert virtual_time.run(hold()).killed


def test_a_task_that_takes_no_notice_of_its_end_does_not_keep_the_process(tmp_path):
    code = (
        "import asyncio\n"
        "from contextlib import suppress\n"
        "from halfcascade.bot import desk\n"
        "from halfcascade.bot.settings import Settings\n"
        "from halfcascade.bot.terminal import Terminal\n"
        "async def for_ever():\n"
        "    while True:\n"
        "        with suppress(asyncio.CancelledError):\n"
        "            await asyncio.sleep(1000)\n"
        "async def hold(*_, **__):\n"
        "    desk.task = asyncio.create_task(for_ever())\n"
        "    await asyncio.sleep(0)\n"
        "    print('all is written', flush=False)\n"
        "    return 7\n"
        "desk._hold = hold\n"
        "desk.run_conversation(Settings(_env_file=None), terminal=Terminal())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (7, "all is written\n"), done.stderr
