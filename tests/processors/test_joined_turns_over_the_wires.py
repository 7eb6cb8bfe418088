"""A user who goes on after the turn was sent: whole conversations over the wires, on real speech in real time."""

from dataclasses import replace
from typing import Any

from pipecat.frames.frames import LLMContextFrame
from pipecat.observers.base_observer import BaseObserver, FramePushed

from bench import dialogue
from bench.dialogue import DATA, Talker, UserTransport, converse, say
from halfcascade.bot.pipeline import build_pipeline
from halfcascade.bot.settings import Settings
from halfcascade.emulator.profiles import load_profile
from halfcascade.processors.turns import joining
from halfcascade.processors.turns.words import normalize

SCENARIO = {"recordings": [{"index": str(DATA / "recordings.json")}], "default_reply": "I see."}


class Contexts(BaseObserver):
    """Keeps the context that the brain was last asked with."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Any] = []

    async def on_push_frame(self, data: FramePushed) -> None:
        if isinstance(data.frame, LLMContextFrame):
            self.messages = list(data.frame.context.get_messages())


def build(transport: UserTransport) -> Talker:
    built = build_pipeline(transport, Settings())
    return Talker(built.pipeline, built.ears, built.brain, built.voice)


async def test_a_sentence_in_two_breaths_is_one_turn_for_everybody(google_emulator_factory, monkeypatch):
    # On a slow machine the turn may only end after the second breath; it is one turn then, too.
    monkeypatch.setattr(dialogue, "TIMEOUT_SECS", 60.0)
    monkeypatch.setattr(joining, "JOIN_SECS", 60.0)
    # The answer takes its time, so that on a slow machine, too, the user goes on before it is heard.
    reference = load_profile("reference")
    slow = replace(reference, thinker=replace(reference.thinker, first_token=3.0))
    google = await google_emulator_factory(scenario=SCENARIO, profile=slow)
    # Its first half ends like a whole sentence, and the pause is much longer than the silence that ends a turn.
    spoken = [say("yes"), say(("greeting", 5, 0.8), ("greeting", -5, 0.0)), say("weather")]
    contexts = Contexts()
    rows = await converse(build, spoken, contexts)
    said = [utterance.text.lower() for utterance in spoken]
    believed = [message.text for message in google.mind.thinker.conversations[-1].messages if message.role == "user"]
    assert [normalize(text) for text in believed] == said
    assert [normalize(m["content"]) for m in contexts.messages if m["role"] == "user"] == said
    assert None not in rows
