"""The changes that CONTRIBUTING shows: small, applicable to the code as it is, and doing what they say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, Block, fenced

CHANGES = [block for block in fenced(ROOT / "CONTRIBUTING.md") if block.kind == "diff"]
NAMES = ["backchannel", "tool", "fault", "language", "model"]
ROOMS = ("bot", "processors", "transports", "emulator")

TRIALS = {
    "backchannel": """
from halfcascade.processors.language import turn_words
assert turn_words("ko-KR").is_backchannel("그러게요.")
""",
    "tool": """
from halfcascade.processors.alone import TypedConversation
from halfcascade.processors.gemini_live import builtin_tools
replies = [{"match": "coin", "calls": [{"name": "flip_coin"}]}, {"result_of": "flip_coin", "text": "It is {results}."}]
async def main():
    async with GoogleEmulator(scenario={"replies": replies}) as google:
        os.environ.update(google.env)
        async with TypedConversation(tools=builtin_tools()) as chat:
            answer = "".join([piece async for piece in chat.ask("Flip a coin.")])
            assert "heads" in answer or "tails" in answer, answer
asyncio.run(main())
""",
    "fault": """
from halfcascade.emulator.faults import Fault
from halfcascade.processors.alone import synthesize
async def main():
    lengths = []
    for faults in ([], [Fault("tts", "repeat")]):
        async with GoogleEmulator(faults=faults) as google:
            os.environ.update(google.env)
            lengths.append(len((await synthesize("Twice is better.")).pcm))
    assert lengths[1] > 1.5 * lengths[0], lengths
asyncio.run(main())
""",
    "language": """
from halfcascade.processors.language import language, phrases, turn_words
assert language("sv-SE").name == "Svenska"
assert turn_words("sv-SE").is_backchannel("Just det!") and turn_words("sv-SE").is_open_ended("jag vill ha en")
assert phrases("sv-SE").fillers == ("Ett ögonblick.",)
""",
    "model": """
from halfcascade.processors.alone import TypedConversation
from halfcascade.processors.gemini_live.protocol.models import lookup
assert lookup("models/gemini-3.9-live").family == "gemini-3.9-live"
async def main():
    async with GoogleEmulator(scenario={"default_reply": "Hello."}) as google:
        os.environ.update(google.env)
        async with TypedConversation(model="gemini-3.9-live") as chat:
            assert "".join([piece async for piece in chat.ask("Hi.")]).strip() == "Hello."
asyncio.run(main())
""",
}
BEGINNING = "import asyncio, os\nfrom halfcascade.emulator.server import GoogleEmulator\n"


def apply(block: Block, folder: Path, *, write: bool = True) -> None:
    """Apply a change whose hunks say what they stand beside, and leave out the numbers of lines, which change daily."""
    for change in re.split(r"^--- ", block.text, flags=re.MULTILINE)[1:]:
        header, *hunks = re.split(r"^@@\n", change, flags=re.MULTILINE)
        path = folder / header.splitlines()[1].removeprefix("+++ b/")
        text = "" if header.startswith("/dev/null") else path.read_text("utf-8")
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            found = text.count(before) if before else 1
            assert found == 1, f"{block.place}: {path.name} has changed; show the change as it is made now:\n{before}"
            text = text.replace(before, after) if before else after
        if write:
            path.write_text(text, "utf-8")


@pytest.mark.parametrize("block", CHANGES, ids=NAMES)
def test_a_set_change_is_small_and_applies(block: Block) -> None:
    added = [line for line in block.text.splitlines() if re.match(r"\+(?!\+\+ )", line)]
    files = re.findall(r"^\+\+\+ b/(\S+)$", block.text, re.MULTILINE)
    assert 1 <= len(added) <= 20
    assert 1 <= len(files) <= 2
    apply(block, ROOT, write=False)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "block"), list(zip(NAMES, CHANGES, strict=True)), ids=NAMES)
def test_a_set_change_does_what_it_says(name: str, block: Block, tmp_path: Path) -> None:
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    package = shutil.copytree(ROOT / "package", tmp_path / "halfcascade")
    apply(block, tmp_path)
    for room in ROOMS:
        (package / room).symlink_to(tmp_path / room)
    command, environ = [sys.executable, "-c", BEGINNING + TRIALS[name]], {**os.environ, "PYTHONPATH": str(tmp_path)}
    run = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
