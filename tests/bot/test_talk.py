"""A talk apart from the process that holds it: two at once, each with servers of its own."""

import asyncio
import json
import os
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import soundfile

from halfcascade.bot import talk as talk_module
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.session.redaction import Redactor
from halfcascade.bot.settings import Settings
from halfcascade.bot.talk import Talk
from halfcascade.emulator.server import GoogleEmulator
from halfcascade.transports.wav import WavTransport
from tests.bot.support import DATA, recording, recordings_for


async def _hold(name: str, google: GoogleEmulator, **options: Any) -> tuple[EventHub, Outcome]:
    """One talk of one turn, from the user's recording to the end of the answer."""
    hub, outcome = EventHub(Redactor({})), Outcome()
    hub.begin()
    sound, rate = soundfile.read(DATA / recording(name)["file"], dtype="int16")
    transport = WavTransport(user_audio=sound, user_audio_rate=rate, tap=hub)
    talk = Talk(Settings(_env_file=None), transport, hub, outcome, environ={**os.environ, **google.env}, **options)
    hub.listen(lambda event: outcome.end("finished") if event.type == "speaking_stopped" else None)
    await asyncio.wait_for(talk.run(), 60)
    return hub, outcome


def _silent_talk(google: GoogleEmulator, outcome: Outcome) -> Talk:
    hub = EventHub(Redactor({}))
    hub.begin()
    return Talk(Settings(_env_file=None), WavTransport(tap=hub), hub, outcome, environ={**os.environ, **google.env})


@pytest.fixture
def clean_environment(monkeypatch):
    """None of the variables that lead to servers, so that only what a talk is given can lead it there."""
    for name in list(os.environ):
        if name.startswith(("GOOGLE_", "GEMINI_", "SPEECH_", "TEXTTOSPEECH_", "SSL_CERT_FILE")):
            monkeypatch.delenv(name)


async def test_two_talks_in_one_process_each_have_their_own_servers(clean_environment):
    answers = {"weather": "It will be sunny all day.", "question": "Far, far away."}
    before = dict(os.environ)
    async with (
        GoogleEmulator(
            scenario={"recordings": recordings_for("weather"), "replies": [{"text": answers["weather"]}]}
        ) as one,
        GoogleEmulator(
            scenario={"recordings": recordings_for("question"), "replies": [{"text": answers["question"]}]}
        ) as two,
    ):
        talks = await asyncio.gather(_hold("weather", one), _hold("question", two))
    assert dict(os.environ) == before
    for (hub, outcome), answer in zip(talks, answers.values(), strict=True):
        assert outcome.failure is None
        assert outcome.reason == "finished"
        said = [entry.heard.strip() for entry in hub.transcript.entries if hasattr(entry, "heard")]
        assert said == [answer]


async def test_a_talk_that_cannot_go_on_says_why_and_ends(clean_environment):
    async with GoogleEmulator(scenario={"recordings": recordings_for("weather"), "replies": [{"text": "Hi."}]}) as one:
        environ = {**one.env, "TEXTTOSPEECH_EMULATOR_HOST": ""}
    hub, outcome = EventHub(Redactor({})), Outcome()
    hub.begin()
    talk = Talk(Settings(_env_file=None), WavTransport(tap=hub), hub, outcome, environ=environ)
    await asyncio.wait_for(talk.run(), 60)
    assert outcome.failure
    assert "\n" not in outcome.failure


async def test_a_pipeline_that_holds_up_its_end_is_ended_all_the_same(clean_environment, monkeypatch):
    monkeypatch.setattr(talk_module, "_END_SECS", 0.3)
    async with GoogleEmulator(scenario={"replies": []}) as google:
        outcome = Outcome()
        talk = _silent_talk(google, outcome)

        async def nothing() -> None:
            """What ends the pipeline gets stuck in it."""

        monkeypatch.setattr(talk.worker, "stop_when_done", nothing)
        talk.started = partial(asyncio.to_thread, outcome.end, "finished")
        await asyncio.wait_for(talk.run(), 60)
    assert outcome.reason == "finished" and outcome.failure is None
    assert talk.worker.has_finished()


async def test_what_cannot_even_be_cancelled_does_not_keep_a_talk(clean_environment, monkeypatch):
    monkeypatch.setattr(talk_module, "_END_SECS", 0.1)
    monkeypatch.setattr(talk_module, "_CANCEL_SECS", 0.1)
    let_go = asyncio.Event()

    async def stubborn() -> None:
        while not let_go.is_set():
            with suppress(asyncio.CancelledError):
                await let_go.wait()

    async with GoogleEmulator(scenario={"replies": []}) as google:
        outcome = Outcome()
        talk = _silent_talk(google, outcome)
        monkeypatch.setattr(talk, "_run_pipeline", stubborn)
        outcome.end("finished")
        await asyncio.wait_for(talk.run(), 20)
    let_go.set()
    await asyncio.sleep(0)


async def test_a_traced_talk_leaves_spans_of_its_turn_and_services(clean_environment):
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter").InMemorySpanExporter()
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    trace.set_tracer_provider(provider)
    scenario = {"recordings": recordings_for("weather"), "replies": [{"text": "It will be sunny all day."}]}
    async with GoogleEmulator(scenario=scenario) as google:
        await _hold("weather", google, traced=True)
    spans = memory.get_finished_spans()
    assert {"conversation", "turn"} <= {span.name for span in spans}
    turns = {span.context.span_id for span in spans if span.name == "turn"}
    under = {name: [span.parent.span_id for span in spans if span.name == name] for name in ("stt", "llm", "tts")}
    assert all(under.values())
    assert {parent for parents in under.values() for parent in parents} <= turns
    (answer,) = [dict(span.attributes) for span in spans if span.name == "llm"]
    assert json.loads(answer["input"])[0]["content"] in recording("weather")["text"]
    assert answer["output"] == "It will be sunny all day."
    assert answer["gen_ai.usage.output_tokens"] > 0
    assert 0 < answer["metrics.ttfb"] < 60
