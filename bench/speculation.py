"""What asking for the answer before the turn is over gains, and what it costs. Run by ``bench.latency``.

The same conversation twice, without and with speculation: ordinary turns, turns that sound as if more were to come,
turns with a pause in mid-sentence, and turns in which the user corrects himself, so that some guesses are wrong.
"""

import os
import statistics
from functools import partial
from typing import Any, cast
from unittest.mock import patch

from pipecat.frames.frames import LLMContextFrame, LLMContextUserTurnFrame
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregator
from pipecat.processors.frame_processor import FrameDirection

from bench.dialogue import DATA, Talker, UserTransport, Utterance, converse, say
from halfcascade.bot.pipeline import build_pipeline
from halfcascade.bot.settings import Settings
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.scripted import ScriptedMind
from halfcascade.emulator.minds.scripted_thinker import ScriptedThinker
from halfcascade.emulator.server import GoogleEmulator
from halfcascade.processors.turns.words import normalize

REPLY = "Sure, that is a very good question."


def utterances() -> list[Utterance]:
    """What the user says, by what it is like for somebody who must decide whether it is over."""
    plain = [say(name) for name in ("weather", "timer", "two_sentences", "yes", "numbers", "greeting")]
    # Over, although it does not sound so: Smart Turn gives these ends less than 0.5.
    trailing = [say(("weather", 6, 0.0)), say(("mid_pause", 7, 0.0)), say(("numbers", 7, 0.0))]
    pausing = [
        say(("greeting", 5, 0.4), ("greeting", -5, 0.0)),
        say(("weather", 6, 0.9), ("weather", -6, 0.0)),
        say(("question", 9, 0.7), ("question", -9, 0.0)),
        say("mid_pause"),
    ]
    correcting = [say("weather", "no_wait", "timer"), say("timer", "actually")]
    return [*plain[:3], *pausing[:2], *trailing, *correcting, *plain[3:], *pausing[2:]]


class Guesses(BaseObserver):
    """Counts turns that the brain was asked about, before and after their end."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.sent = 0
        self.turns = 0

    async def on_push_frame(self, data: FramePushed) -> None:
        """Count what the user aggregator pushes to the brain."""
        if not isinstance(data.source, LLMUserAggregator) or data.direction is not FrameDirection.DOWNSTREAM:
            return
        if isinstance(data.frame, LLMContextUserTurnFrame):
            self.turns += 1
        elif isinstance(data.frame, LLMContextFrame):
            self.asked += data.frame.speculation
            self.sent += not data.frame.speculation

    @property
    def kept(self) -> int:
        """Turns that ended without being sent again: what was sent early was right."""
        return self.turns - self.sent


def build(transport: UserTransport, *, speculate: bool) -> Talker:
    """Make our pipeline."""
    built = build_pipeline(transport, Settings(speculate=speculate))
    return Talker(built.pipeline, built.ears, built.brain, built.voice)


def generated(log: UsageLog) -> int:
    """Characters that the model wrote, whether anybody heard them or not."""
    contents = [entry.data["message"].get("serverContent", {}) for entry in log.find("live", "sent")]
    return sum(len(content.get("outputTranscription", {}).get("text", "")) for content in contents)


def traces(thinker: ScriptedThinker, spoken: list[Utterance]) -> list[str]:
    """What the model believes the user to have said although nobody said it, or not so."""
    believed = [message.text for message in thinker.conversations[-1].messages if message.role == "user"]
    said = [normalize(utterance.text) for utterance in spoken]
    return [text for text in believed if normalize(text) not in said]


async def hold(*, speculate: bool) -> dict[str, Any]:
    """Hold the conversation once.

    Args:
        speculate: Whether the answer is asked for early.

    Returns:
        Milliseconds to the first sound of each answer, and counts.
    """
    spoken, guesses = utterances(), Guesses()
    scenario = {"recordings": [{"index": str(DATA / "recordings.json")}], "default_reply": REPLY}
    async with GoogleEmulator(scenario=scenario, profile="reference") as google:
        with patch.dict(os.environ, google.env):
            stages = await converse(partial(build, speculate=speculate), spoken, guesses)
        mind = cast(ScriptedMind, google.mind)
        thinker = cast(ScriptedThinker, mind.thinker)
        heard = [None if row is None else round(row["heard"]) for row in stages]
        answered = [ms for ms in heard if ms is not None]
        return {
            "turns": len(spoken),
            "heard_ms": {"median": round(statistics.median(answered)), "mean": round(statistics.mean(answered))},
            "asked_early": guesses.asked,
            "kept": guesses.kept,
            "withdrawn": guesses.asked - guesses.kept,
            "turns_sent": len(thinker.conversations),
            "characters_wasted": generated(google.log) - len(REPLY) * len(answered),
            "connections": len(google.log.find("live", "open")),
            "traces": traces(thinker, spoken),
            "each": [(utterance.name, ms) for utterance, ms in zip(spoken, heard, strict=True)],
        }
