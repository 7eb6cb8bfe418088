"""Calls, and the one that stands ready."""

import asyncio
from typing import Any, cast

import pytest
from google.api_core import exceptions as google
from google.cloud import texttospeech_v1 as tts
from pipecat.utils.errors import ErrorCategory

from halfcascade.processors.chirp_tts.errors import SynthesisError, synthesis_error
from halfcascade.processors.chirp_tts.phrase_cache import PhraseCache
from halfcascade.processors.chirp_tts.settings import default_settings
from halfcascade.processors.chirp_tts.stream import StandBy, SynthesisStream
from halfcascade.processors.chirp_tts.synthesizer import ChirpSynthesizer
from tests.processors.chirp_tts.fake import FakeTextToSpeech
from tests.processors.chirp_tts.stage import until

CONFIG = tts.StreamingSynthesizeConfig(voice=tts.VoiceSelectionParams(language_code="en-US"))


@pytest.fixture
def server() -> FakeTextToSpeech:
    return FakeTextToSpeech()


def open_stream(server: FakeTextToSpeech) -> SynthesisStream:
    return SynthesisStream(server, CONFIG, asyncio.ensure_future)


def synthesizer(server: FakeTextToSpeech, sent: list, cache: PhraseCache | None = None) -> ChirpSynthesizer:
    async def on_sent(text: str, reason: str) -> None:
        sent.append((text, reason))

    return ChirpSynthesizer(lambda: cast(Any, server), default_settings(), on_sent, asyncio.ensure_future, cache)


async def test_a_call_gets_its_config_first_and_is_half_closed_after_its_text(server):
    stream = open_stream(server)
    await until(lambda: server.calls and server.calls[0].record.config)
    assert not server.spoken
    stream.speak(tts.StreamingSynthesisInput(text="Hello."))
    stream.half_close()
    assert b"".join([chunk async for chunk in stream.audio()])
    assert server.texts == ["Hello."]
    assert server.calls[0].record.half_closed


async def test_a_cancelled_call_ends_on_the_wire(server):
    stream = open_stream(server)
    await until(lambda: server.calls)
    stream.cancel()
    stream.cancel()
    await until(lambda: server.calls[0].record.cancelled)


async def test_a_stand_by_is_opened_once_and_taken_once(server):
    stand_by = StandBy(lambda: open_stream(server), asyncio.ensure_future)
    assert stand_by.take() is None
    stand_by.expect()
    stand_by.expect()
    await until(lambda: server.calls)
    assert stand_by.take() is not None
    assert stand_by.take() is None
    assert len(server.calls) == 1


async def test_a_stand_by_is_renewed_before_it_is_too_old_and_given_up_after_a_while(server):
    stand_by = StandBy(lambda: open_stream(server), asyncio.ensure_future, max_age=0.05, renewals=2)
    stand_by.expect()
    await until(lambda: len(server.calls) == 3 and all(call.record.cancelled for call in server.calls))
    assert stand_by.take() is None


async def test_a_closed_stand_by_leaves_no_call_behind(server):
    stand_by = StandBy(lambda: open_stream(server), asyncio.ensure_future)
    stand_by.expect()
    await until(lambda: server.calls)
    stand_by.close()
    await until(lambda: server.calls[0].record.cancelled)
    assert stand_by.take() is None


async def test_a_refused_text_is_not_tried_again(server):
    server.fail(google.InvalidArgument("This request contains sentences that are too long."))
    sent: list = []
    with pytest.raises(SynthesisError) as raised:
        [chunk async for chunk in synthesizer(server, sent).synthesize("Hello.", phrase=False)]
    assert len(sent) == 1 and not raised.value.category.is_permanent


async def test_half_a_phrase_is_not_kept(server, tmp_path):
    cache = PhraseCache(tmp_path)
    server.break_after, server.break_with = [0.1], google.ServiceUnavailable("gone")
    speaks = synthesizer(server, [], cache)
    with pytest.raises(SynthesisError):
        [chunk async for chunk in speaks.synthesize("Hello there, everybody.", phrase=True)]
    assert not list(tmp_path.iterdir())
    whole = [chunk async for chunk in speaks.synthesize("Hello there, everybody.", phrase=True)]
    again = [chunk async for chunk in speaks.synthesize("Hello there, everybody.", phrase=True)]
    assert b"".join(whole) == b"".join(again)
    assert len(server.texts) == 2


@pytest.mark.parametrize(
    ("error", "category", "retry"),
    [
        (google.Aborted("Stream aborted due to long duration"), ErrorCategory.SERVER, True),
        (google.ServiceUnavailable("down"), ErrorCategory.CONNECTIVITY, True),
        (google.ResourceExhausted("quota"), ErrorCategory.RATE_LIMIT, True),
        (google.Unauthenticated("who?"), ErrorCategory.AUTHENTICATION, False),
        (google.PermissionDenied("no"), ErrorCategory.AUTHORIZATION, False),
        (google.InvalidArgument("Voice 'x' does not exist."), ErrorCategory.INVALID_REQUEST, False),
        (google.InvalidArgument("Text too\nlong"), ErrorCategory.APPLICATION, False),
        (TimeoutError(), ErrorCategory.CONNECTIVITY, True),
        (RuntimeError("odd"), ErrorCategory.SERVER, True),
    ],
)
def test_errors_are_judged(error, category, retry):
    judged = synthesis_error(error, "en-US-Chirp3-HD-Charon")
    assert (judged.category, judged.retry) == (category, retry)
    assert "\n" not in judged.reason and judged.reason.endswith(".")
    assert synthesis_error(judged, "x") is judged


async def test_a_dead_stand_by_says_nothing_about_the_text(server):
    sent: list = []
    speaks = synthesizer(server, sent)
    speaks.expect_text()
    await until(lambda: server.calls)
    server.fail(google.Aborted("5s seconds"))
    assert [chunk async for chunk in speaks.synthesize("Hello.", phrase=False)]
    assert sent == [("Hello.", ""), ("Hello.", "retry")]


async def test_a_call_that_the_server_cancels_is_an_error_not_a_cancellation(server):
    async def cancelled(_) -> None:
        raise asyncio.CancelledError

    server.faults = [cancelled]
    with pytest.raises(SynthesisError) as raised:
        [chunk async for chunk in synthesizer(server, []).synthesize("Hello.", phrase=False)]
    assert raised.value.retry
