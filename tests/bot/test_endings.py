"""Ends that nobody chose: whatever ends the process, the session folder holds everything up to then."""

import asyncio
import json
import os
import pty
import signal
import sys
import time
from pathlib import Path

import pytest
import soundfile

from halfcascade.emulator.server import GoogleEmulator
from tests.bot.support import (
    Run,
    environment,
    finish,
    long_story,
    processes_of,
    recordings_for,
    start_bot,
    until,
    user_audio,
)

STORY = long_story()
SCENARIO = {"recordings": recordings_for("question"), "replies": [{"match": "moon", "text": STORY}]}
ARGUMENTS = ("--backend", "google", "--user-audio", "user.wav", "--session", "s")
# The bot as the leader of a terminal's session, whatever the tests themselves were started by.
IN_A_WINDOW = """
import fcntl, runpy, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGHUP, getattr(signal, sys.argv.pop(1)))
runpy.run_module("bot", run_name="__main__")
"""


@pytest.fixture
async def google():
    async with GoogleEmulator(scenario=SCENARIO) as google:
        yield google


@pytest.fixture
def home(tmp_path):
    user_audio(tmp_path / "user.wav", (0.0, "question"), tail=60.0)
    return tmp_path


def heard(folder) -> int:
    """How often words were heard so far."""
    events = folder / "events.jsonl"
    return events.read_text().count('"heard"') if events.exists() else 0


async def speaks(folder) -> None:
    """Wait until the bot is in the middle of its story, and some of it can be seen in every file."""
    await until(lambda: heard(folder) >= 3)
    await until(lambda: soundfile.info(folder / "conversation.wav").duration > 2)
    await until(lambda: "clock" in (folder / "transcript.md").read_text())


def holds_all(run: Run, reason: str) -> None:
    """The folder is complete: the last event says why, and the recording reaches to the last word heard."""
    assert run.events[-1]["reason"] == reason
    sound, rate = run.sound
    last = run.of_type("heard")[-1]
    assert len(sound) / rate > last["t"] - 0.1
    assert abs(sound[:, 1]).max() > 0.01
    assert f"{last['text'].strip()} ~~" in run.transcript  # the rest was not heard
    assert run.metrics["turns"][0]["latency_ms"] > 0


async def in_a_window(home, disposition: str, **variables: str):
    """Start the bot in a terminal window; gives the process and what closes the window."""
    window, terminal = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", IN_A_WINDOW, disposition, *ARGUMENTS,
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        cwd=home, env=environment(home, TERM="xterm", **variables),
    )  # fmt: skip
    os.close(terminal)
    loop = asyncio.get_running_loop()
    loop.add_reader(window, os.read, window, 65_536)

    def close():
        loop.remove_reader(window)
        os.close(window)

    return process, close


async def test_sigterm_ends_in_order(home, google):
    process = await start_bot(home, *ARGUMENTS, **google.env)
    await speaks(home / "s")
    process.send_signal(signal.SIGTERM)
    run = await finish(process, home / "s")
    assert run.code == 128 + signal.SIGTERM
    assert "Traceback" not in run.output and "error" not in run.output
    assert run.output.rstrip().endswith("Session folder: s")
    holds_all(run, "SIGTERM")


async def test_a_window_that_is_closed_ends_in_order(home, google):
    process, close_window = await in_a_window(home, "SIG_DFL", **google.env)
    await speaks(home / "s")
    close_window()
    run = Run(await asyncio.wait_for(process.wait(), 60), "", home / "s")
    assert run.code == 128 + signal.SIGHUP
    holds_all(run, "SIGHUP")
    assert "ERROR" not in (home / "s" / "bot.log").read_text()


async def test_with_nohup_a_window_can_be_closed(home, google):
    process, close_window = await in_a_window(home, "SIG_IGN", **google.env)
    await speaks(home / "s")
    close_window()
    known = heard(home / "s")
    await until(lambda: heard(home / "s") >= known + 3)
    process.send_signal(signal.SIGTERM)
    run = Run(await asyncio.wait_for(process.wait(), 60), "", home / "s")
    assert run.code == 128 + signal.SIGTERM
    holds_all(run, "SIGTERM")


async def test_a_killed_process_leaves_what_can_be_read(home, google):
    process = await start_bot(home, *ARGUMENTS, **google.env)
    await speaks(home / "s")
    known = soundfile.info(home / "s" / "conversation.wav").frames
    process.kill()
    run = await finish(process, home / "s")
    assert run.code == -signal.SIGKILL
    assert (home / "s" / "events.jsonl").read_text().endswith("\n")
    assert run.of_type("heard")  # every line is read for that
    sound, _ = run.sound
    assert len(sound) >= known
    assert abs(sound[:, 1]).max() > 0.01
    assert "clock" in run.transcript
    assert json.loads((home / "s" / "metrics.json").read_text())["turns"]


@pytest.mark.slow
async def test_a_talk_that_was_stopped_while_the_bot_spoke_goes_on_with_it(home, google):
    process = await start_bot(home, *ARGUMENTS, **google.env)
    await speaks(home / "s")
    known = heard(home / "s")
    process.send_signal(signal.SIGSTOP)  # Ctrl-Z, longer than Pipecat gives one write
    await asyncio.sleep(12.0)
    process.send_signal(signal.SIGCONT)
    await until(lambda: heard(home / "s") >= known + 3)
    process.send_signal(signal.SIGTERM)
    run = await finish(process, home / "s")
    assert run.code == 128 + signal.SIGTERM
    assert not run.of_type("error")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes where Linux lists them")
@pytest.mark.parametrize("after", [0.2, 0.7, 1.5, 3.0, 6.0, 9.0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_whatever_it_is_at_it_ends_soon_and_leaves_no_process_behind(home, after, number):
    process = await start_bot(home, "--backend", "emulator", *ARGUMENTS[2:])
    await asyncio.sleep(after)
    process.send_signal(number)
    began = time.monotonic()
    run = await finish(process, home / "s")
    took = time.monotonic() - began
    # That it ends at all, on a machine of any load; `test_end_in_time` holds it to the 3 and 10 s that are promised.
    assert took < 20.0
    assert "Traceback" not in run.output
    assert not processes_of(home)
