"""One whole talk on a real terminal, driven by keys."""

import asyncio
import json
import shlex
import shutil
import subprocess
import sys

import pytest

from halfcascade.emulator.server import GoogleEmulator
from tests.bot.support import environment, long_story, recordings_for, user_audio

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("tmux"), reason="needs tmux")]

STORY = long_story()
SCENARIO = {
    "recordings": recordings_for("weather"),
    "replies": [
        {"match": "weather", "text": "It will be sunny."},
        {"match": "story", "text": STORY},
        {"match": "thanks", "text": "You are welcome."},
    ],
}


class Terminal:
    """A terminal with a talk in it."""

    def __init__(self, home):
        self.socket = str(home / "tmux")

    def tmux(self, *arguments):
        return subprocess.run(
            ["tmux", "-S", self.socket, *arguments], capture_output=True, text=True, check=False
        ).stdout

    def start(self, home, env, size=(80, 24), *, jobs=False):
        variables = {**environment(home, **env), "TERM": "xterm-256color", "PYTHONPATH": env_path()}
        del variables["COLUMNS"]
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items() if name.isidentifier())
        talk = f"{sys.executable} -m bot talk --backend google --user-audio user.wav --session s; echo code $?"
        # Under a shell with jobs, as a person has it.
        program = f"{talk}; while sleep 1; do fg; done" if jobs else f"{talk}; sleep 60"
        command = ["new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), "-s", "talk", "-c", str(home)]
        self.tmux(*command, f"env -i {settings} bash {'-m' if jobs else ''} -c {shlex.quote(program)}")

    @property
    def screen(self):
        return self.tmux("capture-pane", "-p", "-t", "talk")

    def press(self, *keys):
        self.tmux("send-keys", "-t", "talk", *keys)

    async def until(self, words, secs=60):
        try:
            async with asyncio.timeout(secs):
                while words not in self.screen:  # noqa: ASYNC110 a terminal tells nobody
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"{words!r} never came:\n{self.screen}")

    def close(self):
        self.tmux("kill-server")


def env_path():
    from tests.bot.support import ROOT

    return str(ROOT)


@pytest.fixture
def terminal(tmp_path):
    made = Terminal(tmp_path)
    yield made
    made.close()


def events(home):
    return [json.loads(line) for line in (home / "s" / "events.jsonl").read_text("utf-8").splitlines()]


async def test_a_talk_is_seen_typed_into_interrupted_and_ended(terminal, tmp_path):
    user_audio(tmp_path / "user.wav", (0.5, "weather"), tail=120.0)
    async with GoogleEmulator(scenario=SCENARIO, profile="reference") as google:
        terminal.start(tmp_path, google.env)
        await terminal.until("It will be sunny.")
        assert "mic" in terminal.screen and "ears" in terminal.screen
        terminal.press("t")
        await terminal.until("Enter sends")
        terminal.press("-l", "a story please")
        terminal.press("Enter")
        await terminal.until("nobody ever heard it")
        await asyncio.sleep(1.0)
        assert "bot" in next(line for line in terminal.screen.splitlines() if line.startswith("mic"))
        terminal.press("i")
        await terminal.until("more words")
        terminal.press("m")
        await terminal.until("muted")
        terminal.tmux("resize-window", "-t", "talk", "-x", "40", "-y", "12")
        terminal.press("-l", "xthanks")
        await terminal.until("xthanks")
        terminal.press("Enter")
        await terminal.until("You are welcome.")
        terminal.press("q")
        await terminal.until("code 0")
    kinds = [event["type"] for event in events(tmp_path)]
    assert kinds.count("typed") == 2
    assert kinds[-1] == "session_ended"
    assert "**User**" in (tmp_path / "s" / "transcript.md").read_text("utf-8")
    assert (tmp_path / "s" / "report.html").exists()


async def test_a_talk_that_is_stopped_goes_on(terminal, tmp_path):
    user_audio(tmp_path / "user.wav", (0.5, "weather"), tail=120.0)
    async with GoogleEmulator(scenario=SCENARIO, profile="reference") as google:
        terminal.start(tmp_path, google.env, jobs=True)
        await terminal.until("It will be sunny.")
        terminal.press("C-z")
        # The shell has the terminal, and gives it back with `fg`.
        await terminal.until("code ")
        await terminal.until("ears")
        terminal.press("q")
        await terminal.until("Session folder")
    assert events(tmp_path)[-1]["type"] == "session_ended"


async def test_a_terminal_that_disappears_ends_the_talk_in_order(terminal, tmp_path):
    user_audio(tmp_path / "user.wav", (0.5, "weather"), tail=120.0)
    async with GoogleEmulator(scenario=SCENARIO, profile="reference") as google:
        terminal.start(tmp_path, google.env)
        await terminal.until("It will be sunny.")
        terminal.close()
        async with asyncio.timeout(30):
            while events(tmp_path)[-1]["type"] != "session_ended":  # noqa: ASYNC110 a file tells nobody
                await asyncio.sleep(0.2)
    assert events(tmp_path)[-1]["reason"] == "SIGHUP"
