"""Brain and voice together: an answer that was asked for early is ready to be heard, or leaves no trace."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    LLMContextFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext

from halfcascade.emulator.minds.scripted_thinker import ScriptedReply
from halfcascade.processors.chirp_tts.service import ChirpTTSService
from tests.processors.chirp_tts.fake import FakeTextToSpeech
from tests.processors.gemini_live.harness import Bench, Google, talking

CLOCK = "It is ten. Bye."
SEOUL = "It is six there. Bye."
REPLIES = [ScriptedReply(SEOUL, match="Seoul"), ScriptedReply(CLOCK, match="time")]


@asynccontextmanager
async def waiting(voice: FakeTextToSpeech) -> AsyncIterator[Bench]:
    """A user whose turn may be over: the brain has been asked, and the voice has made the first sound ready."""
    async with Google(REPLIES) as google, talking(google, behind=[ChirpTTSService(client=voice)]) as bench:
        await bench.push(UserStartedSpeakingFrame())
        await bench.interrupt()
        messages: list[Any] = [{"role": "user", "content": "What time is it"}]
        await bench.push(LLMContextFrame(LLMContext(messages, bench.context.tools), speculation=True))
        await bench.until(lambda: any(call.finished for call in voice.spoken))
        assert not bench.of(TTSAudioRawFrame)
        yield bench


def said(bench: Bench) -> str:
    return " ".join(frame.text for frame in bench.of(TTSTextFrame))


async def test_it_is_heard_once_the_turn_has_ended_and_synthesized_once() -> None:
    voice = FakeTextToSpeech()
    async with waiting(voice) as bench:
        await bench.push(UserStoppedSpeakingFrame())
        await bench.until(lambda: said(bench) == CLOCK)
        assert "".join(voice.texts).replace(" ", "") == CLOCK.replace(" ", "")


async def test_withdrawn_it_is_never_heard_and_the_whole_turn_is_answered() -> None:
    voice = FakeTextToSpeech()
    async with waiting(voice) as bench:
        await bench.push(EagerEndOfTurnCancelFrame())
        await bench.push(UserStoppedSpeakingFrame())
        await bench.say("What time is it in Seoul?")
        await bench.until(lambda: said(bench) == SEOUL)
        assert not [text for text in voice.texts if text.startswith("It is ten")][1:]
