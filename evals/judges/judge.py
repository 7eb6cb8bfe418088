"""Let programs that were written elsewhere judge a talk with the served bot: ``make judges``.

python -m evals.judges.judge ENVIRONMENTS

Server and emulator (scripted mind) run here; voicebench talks with the bot, and voiceeval reads of the talk what the
session folder says. Each is in a virtual environment of its own under ENVIRONMENTS. The exit code tells whether both
are content.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from loguru import logger

from halfcascade.bot.settings import Settings
from halfcascade.emulator.server import GoogleEmulator
from tests.bot.serve.support import STORY, serving
from tests.bot.support import recording, recordings_for

FOLDER = Path(__file__).parent
SAYINGS = ("weather", "question", "actually", "question", "stop")
SCENARIO: dict[str, Any] = {
    "recordings": recordings_for(*{*SAYINGS, "cough"}),
    "replies": [
        {"match": "weather", "text": "It will be sunny all day."},
        {"match": "moon", "text": STORY},
        {"match": "another question", "text": "Please go ahead."},
        {"match": "stop", "text": "All right."},
    ],
}


def call_of(folder: Path) -> dict[str, Any]:
    """Write down a talk in voiceeval's form.

    Args:
        folder: The talk's session folder.

    Returns:
        Turns with their times, what was understood, and what was really said.
    """
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text("utf-8").splitlines()]
    measured = json.loads((folder / "metrics.json").read_text("utf-8"))["turns"]
    silences = [event["t"] for event in events if event["type"] in ("speaking_stopped", "interrupted")]
    turns: list[dict[str, Any]] = []
    for turn, name in zip(measured, SAYINGS, strict=False):
        said = " ".join(word["word"] for word in recording(name)["words"])
        end = turn["at"]["end_of_speech"]
        begin = end - (recording(name)["end"] - recording(name)["start"])
        turns.append({"speaker": "user", "text": turn["text"], "truth": said, "start_s": begin, "end_s": end})
        if heard := turn["at"].get("heard"):
            over = next((at for at in silences if at > heard), heard)
            turns.append({"speaker": "agent", "text": "…", "start_s": heard, "end_s": over})
    return {"id": "halfcascade", "turns": turns, "completed": len(measured) == len(SAYINGS)}


async def judge(environments: Path) -> int:
    """Hold the talk and let both judge.

    Args:
        environments: Holds the virtual environments.

    Returns:
        How many are not content.
    """
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(scratch) / "sessions"
        settings = Settings(_env_file=None)
        async with (
            GoogleEmulator(scenario=SCENARIO) as google,
            serving(google.env, settings, keep_sessions=kept) as served,
        ):
            bench = environments / "voicebench" / "bin" / "voicebench"
            url = f"{served.ws}/ws-client"
            first = await _run(bench, "run", FOLDER / "voicebench.yaml", "--url", url, "--no-write")
            await asyncio.wait_for(served.house.rooms.wait_until_empty(), 30)
        (folder,) = kept.iterdir()
        call = Path(scratch) / "call.json"
        call.write_text(json.dumps(call_of(folder)), "utf-8")
        second = await _run(environments / "voiceeval" / "bin" / "voiceeval", "check", "--strict", call)
    return (first != 0) + (second != 0)


async def _run(*command: Any) -> int:
    process = await asyncio.create_subprocess_exec(*map(str, command))
    return await asyncio.wait_for(process.wait(), 300)


if __name__ == "__main__":
    logger.remove()
    sys.exit(min(1, asyncio.run(judge(Path(sys.argv[1])))))
