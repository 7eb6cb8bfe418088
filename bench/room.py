"""The whole ``python -m bot talk`` in a room with an open loudspeaker, on a virtual sound card.

python -m bench.room [--turns N] [--barge-ins N] [--gain-db DB]

A conversation whose user lets the bot finish, then one whose user talks over it, as loud in the microphone as the bot.
The bot is a process of its own, against an emulator with Moonshine's ears and Piper's voice (``tests/room_talk.py``).
Prints a table and one JSON line; takes under four minutes. Needs PulseAudio and the packages of the local mind.
"""

import argparse
import asyncio
import json
import re
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import jiwer
import numpy as np
from loguru import logger

from bench.audio_scenes import at_level, recording
from halfcascade.emulator.minds.local import missing_packages
from tests.room_talk import Found, RoomMind, RoomTalk
from tests.virtual_audio import Room, VirtualAudio, missing

REPLIES = {
    "weather": "Tomorrow morning starts with fog near the river. By ten it clears up, and the sun is out all day.",
    "timer": "All right, the timer is running now. I will tell you when the time is up, so you can do other things.",
    "moon": "The moon is about four hundred thousand kilometers away. A plane would fly for more than two weeks.",
    "keys": "Try the pockets of the coat you wore yesterday. Then look beside the door, and under all the papers.",
    "meeting": "Then you have two and a half hours. That is enough for the report, the plan, and a short break.",
    "daniel|boston": "Nice to meet you. Boston is lovely at this time of the year, with red leaves along the river.",
}
STORY = (
    "Once there was an old clock in a quiet harbor town, and nobody knew who had built it. Every evening the children "
    "came to hear it strike, and every evening it was a little late. One day a sailor climbed the tower to see why."
)
QUIET_USER = ("greeting", "weather", "timer", "question", "two_sentences", "numbers")
LOUD_USER = ("actually", "no_wait", "weather", "hold_on", "question", "timer", "two_sentences", "stop", "greeting")
OPENING = "timer"
_USER_DBFS = -26.0
_BREATH_SECS = 0.8
# How long after the user's last sound an interruption, or words, can still be the user's doing.
_LATE_SECS = 3.0
_UNDERSTOOD_WER = 0.35


@dataclass
class Quiet:
    """A conversation in which nobody talks over anybody.

    Parameters:
        turns: Of the user.
        understood: Of those, how many reached the brain with their words (at most every third wrong).
        false_alarms: As `false_alarms` counts them.
        bot_secs: How long the bot spoke.
        heard: The turns as sent to the brain.
    """

    turns: int = 0
    understood: int = 0
    false_alarms: dict[str, int] = field(default_factory=dict)
    bot_secs: float = 0.0
    heard: list[str] = field(default_factory=list)


@dataclass
class BargeIn:
    """One attempt to interrupt the bot; times in seconds from the user's first sound.

    Parameters:
        name: Recording.
        noticed: Until the detector told, or None.
        ducked: Until the bot was told to be quieter, or None.
        stopped: Until it was told to stop, or None.
        silent: Until its last sound, or None.
        heard: What was understood of the user.
        words_kept: Share of the user's words that were understood.
    """

    name: str
    noticed: float | None
    ducked: float | None
    stopped: float | None
    silent: float | None
    heard: str
    words_kept: float


def user(name: str, dbfs: float) -> np.ndarray:
    """A recording at a level in the microphone, as int16."""
    return np.clip(at_level(recording(name), dbfs), -32768, 32767).astype(np.int16)


def words(text: str) -> str:
    """Words in lower case without punctuation; numbers as the ears may write them."""
    plain = " ".join(re.findall(r"[a-z0-9']+", text.lower()))
    for figure, word in (("15", "fifteen"), ("9 30", "half past nine"), ("9", "nine"), ("11", "eleven")):
        plain = re.sub(rf"\b{figure}\b", word, plain)
    return plain


def said(name: str) -> str:
    """What a recording says."""
    return words(_texts()[name])


def _texts() -> dict[str, str]:
    index = Path(__file__).parents[1] / "tests" / "data" / "recordings.json"
    return {entry["name"]: entry["text"] for entry in json.loads(index.read_text("utf-8"))}


async def quiet(talk: RoomTalk, turns: int, dbfs: float) -> list[str]:
    """Let the user speak and the bot finish.

    Args:
        talk: The conversation.
        turns: How many.
        dbfs: Level of the user.

    Returns:
        What the user said.
    """
    names = [QUIET_USER[turn % len(QUIET_USER)] for turn in range(turns)]
    for name in names:
        await talk.turn(user(name, dbfs))
        await asyncio.sleep(_BREATH_SECS)
    return names


async def loud(talk: RoomTalk, count: int, dbfs: float) -> list[tuple[str, int]]:
    """Talk over the bot, again and again; something else is said where it has to be got to speak.

    Args:
        talk: The conversation.
        count: How many times.
        dbfs: Level of the user.

    Returns:
        The barge-ins: recording, and which of the things the user said.
    """
    names = [LOUD_USER[turn % len(LOUD_USER)] for turn in range(count)]
    over: list[tuple[str, int]] = []
    for turn, name in enumerate(names):
        for _ in range(3):
            # The answer to the last barge-in is what this one interrupts, or else the bot is asked for one.
            if not await _speaking(talk, 5.0 if over else 0.0):
                await _say(talk, user(OPENING, dbfs))
                await _speaking(talk, 8.0)
            # Into the bot's words wherever they are: beginning of a sentence, middle, pause.
            await asyncio.sleep(1.5 + 0.37 * (turn % 5))
            if await _speaking(talk, 0.0):
                break
        over.append((name, len(talk.said)))
        await _say(talk, user(name, dbfs))
    await asyncio.sleep(4.0)
    return over


async def _say(talk: RoomTalk, samples: np.ndarray) -> None:
    talk.say(samples)
    await asyncio.sleep(len(samples) / 16_000)


async def _speaking(talk: RoomTalk, secs: float) -> bool:
    """Whether the bot speaks, or begins to within so many seconds."""
    deadline = time.monotonic() + secs
    while True:
        edges = [event["type"] for event in talk.events if event["type"].startswith("speaking_")]
        if edges and edges[-1] == "speaking_started":
            return True
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(0.05)


def false_alarms(events: list[dict], spans: list[Found]) -> dict[str, int]:
    """Count what happened while the user was silent, and had been: interruptions, speech noticed, words."""
    count = {"interrupted": 0, "noticed": 0, "words": 0}
    kinds = {"interrupted": "interrupted", "user_started": "noticed", "final": "words", "backchannel": "words"}
    for event in events:
        kind = kinds.get(event["type"])
        late = _LATE_SECS if kind == "words" else 0.8
        if kind and not any(span.start < event["t"] < span.end + late for span in spans):
            count[kind] += 1
    return count


def judge_quiet(talk: RoomTalk, names: list[str], spans: list[Found]) -> Quiet:
    """See what became of the turns."""
    assert talk.run
    events = talk.run.events
    sent = [event for event in events if event["type"] == "turn_sent"]
    result = Quiet(len(names), false_alarms=false_alarms(events, spans), heard=[event["text"] for event in sent])
    for name, span in zip(names, spans, strict=True):
        mine = [event["text"] for event in sent if span.start < event["t"] < span.end + _LATE_SECS]
        # A turn that goes on after a pause is sent again as a whole, or its second half on its own.
        result.understood += any(
            jiwer.wer(said(name), words(text)) <= _UNDERSTOOD_WER for text in (*mine, " ".join(mine))
        )
    began = [event["t"] for event in events if event["type"] == "speaking_started"]
    ended = [event["t"] for event in events if event["type"] == "speaking_stopped"]
    result.bot_secs = round(sum(ended) - sum(began), 1) if len(began) == len(ended) else 0.0
    return result


def judge_loud(talk: RoomTalk, over: list[tuple[str, int]], spans: list[Found]) -> list[BargeIn]:
    """See which of the user's words stopped the bot, and when."""
    assert talk.run
    events = talk.run.events
    results = []
    for name, index in over:
        span = spans[index]
        until = min(span.end + _LATE_SECS, spans[index + 1].start if index + 1 < len(spans) else np.inf)
        # The answer begins after the user's end: what interrupts until then is this barge-in.
        mine = [event for event in events if span.start - 0.05 < event["t"] < until]
        stopped = _first(mine, "interrupted")
        if stopped is not None and stopped > span.end + 0.8:
            stopped = None
        silent = talk.last_sound(span.start, stopped + 0.5) if stopped is not None else None
        heard = " ".join(event["text"] for event in mine if event["type"] == "final")
        results.append(
            BargeIn(
                name=name,
                noticed=_since(_first(mine, "user_started"), span),
                ducked=_since(_first(mine, "ducked"), span),
                stopped=_since(stopped, span),
                silent=_since(silent, span),
                heard=heard,
                words_kept=round(_kept(said(name), words(heard)), 2),
            )
        )
    return results


def _first(events: list[dict], kind: str) -> float | None:
    return next((event["t"] for event in events if event["type"] == kind and event.get("gain", 0.0) < 1.0), None)


def _since(at: float | None, span: Found) -> float | None:
    return None if at is None else round(at - span.start, 3)


def _kept(wanted: str, got: str) -> float:
    return jiwer.process_words(wanted, got).hits / len(wanted.split()) if got else 0.0


async def converse(audio: VirtualAudio, folder: Path, *, turns: int, barge_ins: int, gain_db: float) -> dict:
    """Hold both conversations.

    Args:
        audio: The sound card.
        folder: Where the session folders go.
        turns: Of the first.
        barge_ins: In the second.
        gain_db: Level of the echo against what is played.

    Returns:
        Values of both, and of the echo canceller.
    """
    values: dict = {}
    room = Room(gain_db=gain_db)
    for part in ("quiet", "loud"):
        home = folder / part
        home.mkdir()
        mind = RoomMind(REPLIES if part == "quiet" else {}, STORY)
        async with RoomTalk(audio, home, mind, room) as talk:
            voice = _level(await mind.say(STORY))
            values["bot_dbfs"] = round(voice + gain_db, 1)
            if part == "quiet":
                names = await quiet(talk, turns, _USER_DBFS)
            else:
                over = await loud(talk, barge_ins, voice + gain_db)
        assert talk.run
        if part == "quiet":
            values[part] = asdict(judge_quiet(talk, names, talk.found()))
        else:
            values[part] = [asdict(one) for one in judge_loud(talk, over, talk.found())]
            values["loud_false_alarms"] = false_alarms(talk.run.events, talk.found())
        values[f"{part}_transport"] = talk.run.metrics["transport"]
        sys.stderr.write(f"{part}: {json.dumps(values[part])}\n")
    return values


def _level(sound: np.ndarray) -> float:
    """Active level in dBFS, as `at_level` sets it."""
    powers = (sound[: len(sound) // 160 * 160].reshape(-1, 160).astype(float) ** 2).mean(axis=1)
    return float(10 * np.log10(powers[powers > powers.max() / 1000].mean()) - 20 * np.log10(32768))


def table(values: dict) -> str:
    """Lay the results out as Markdown."""
    alone, over = values["quiet"], values["loud"]
    found = [one for one in over if one["stopped"] is not None]
    rows = [
        ("", "measured", "goal"),
        (f"self-interruptions in {alone['turns']} turns", str(alone["false_alarms"]["interrupted"]), "0"),
        (f"  bot taken for the user in {alone['bot_secs']:.0f} s", str(alone["false_alarms"]["noticed"]), "0"),
        ("  words out of the bot's voice", str(alone["false_alarms"]["words"]), "0"),
        ("self-interruptions among the barge-ins", str(values["loud_false_alarms"]["interrupted"]), "0"),
        ("turns understood", f"{alone['understood']}/{alone['turns']}", "10/10"),
        ("barge-ins found, equal level", f"{len(found)}/{len(over)}", ">= 9/10"),
        ("  first sound to bot quieter", _spread(over, "ducked"), "-"),
        ("  first sound to interruption", _spread(over, "stopped"), "-"),
        ("  first sound to silence", _spread(over, "silent"), "-"),
        ("  words kept", f"{statistics.mean(one['words_kept'] for one in over):.0%}" if over else "-", "-"),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _spread(over: list[dict], name: str) -> str:
    known = sorted(one[name] for one in over if one[name] is not None)
    return f"median {statistics.median(known):.2f} s, {known[0]:.2f}-{known[-1]:.2f}" if known else "none"


async def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="va") as directory:
        audio = VirtualAudio(Path(directory))
        audio.start()
        try:
            folder = Path(directory) / "talk"
            folder.mkdir()
            values = await converse(
                audio, options.keep or folder, turns=options.turns, barge_ins=options.barge_ins, gain_db=options.gain_db
            )
        finally:
            audio.stop()
    print(table(values))
    print(json.dumps({"bench": "room", "secs": round(time.monotonic() - began), **values}))
    return 0


def main() -> int:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=10, help="turns of the quiet conversation")
    parser.add_argument("--barge-ins", type=int, default=10, help="attempts to interrupt")
    parser.add_argument("--gain-db", type=float, default=-6.0, help="level of the echo against what is played")
    parser.add_argument("--keep", type=Path, help="an empty folder for the session folders")
    options = parser.parse_args()
    absent = missing() or (f"needs {', '.join(missing_packages())} (make demo)" if missing_packages() else None)
    if absent:
        print(absent, file=sys.stderr)
        return 1
    logger.remove()
    return asyncio.run(run(options))


if __name__ == "__main__":
    sys.exit(main())
