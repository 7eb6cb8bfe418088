"""Pipecat's five Google services: STT, two kinds of TTS, the LLM, Gemini Live."""

import asyncio

from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    InputAudioRawFrame,
    LLMRunFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameProcessor
from trying import case, expect, pieces, run, speech

logger.remove()


class Tap(FrameProcessor):
    def __init__(self):
        super().__init__()
        self.texts, self.errors, self.sound = "", [], 0

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.sound += len(frame.audio)
        elif isinstance(frame, LLMTextFrame | TTSTextFrame | TranscriptionFrame):
            self.texts += frame.text
        elif isinstance(frame, ErrorFrame):
            self.errors.append(frame.error)
        await self.push_frame(frame, direction)


async def go(processors, feed, enough):
    above, tap = Tap(), Tap()
    params = PipelineParams(audio_in_sample_rate=16_000, audio_out_sample_rate=24_000)
    task = PipelineTask(Pipeline([above, *processors, tap]), params=params, cancel_on_idle_timeout=False)

    async def drive():
        await asyncio.sleep(0.5)
        await feed(task)
        for _ in range(200):
            if enough(tap):
                break
            await asyncio.sleep(0.1)
        await task.queue_frame(EndFrame())

    driving = asyncio.create_task(drive())
    await PipelineRunner(handle_sigint=False).run(task)
    await driving
    assert not above.errors + tap.errors, above.errors + tap.errors
    assert enough(tap), f"heard {tap.texts!r}, {tap.sound} bytes"
    return tap.texts or tap.sound


async def microphone(task):
    for piece in pieces(bytes(9_600) + speech(), 640):
        await task.queue_frame(InputAudioRawFrame(audio=piece, sample_rate=16_000, num_channels=1))
        await asyncio.sleep(0.002)


def saying(frame):
    async def feed(task):
        await task.queue_frame(frame)

    return feed


@case("STT")
async def stt():
    from pipecat.services.google.stt import GoogleSTTService

    said = await go([GoogleSTTService(location="global")], microphone, lambda tap: "time" in tap.texts)
    return expect(said, "what time is it")


@case("TTS, streaming")
async def tts():
    from pipecat.services.google.tts import GoogleTTSService

    feed = saying(TTSSpeakFrame("Hello there. How are you?"))
    return await go([GoogleTTSService()], feed, lambda tap: tap.sound > 40_000)


@case("TTS, HTTP")
async def tts_http():
    from pipecat.services.google.tts import GoogleHttpTTSService

    feed = saying(TTSSpeakFrame("Hello there. How are you?"))
    return await go([GoogleHttpTTSService()], feed, lambda tap: tap.sound > 40_000)


@case("TTS, Gemini")
async def tts_gemini():
    from pipecat.services.google.tts import GeminiTTSService

    return await go([GeminiTTSService()], saying(TTSSpeakFrame("Hello there.")), lambda tap: tap.sound > 20_000)


def talk(service, text=""):
    pair = LLMContextAggregatorPair(LLMContext([{"role": "user", "content": text}] if text else []))
    return [pair.user(), service]


@case("LLM")
async def model():
    from pipecat.services.google.llm import GoogleLLMService

    return await go(
        talk(GoogleLLMService(api_key="k"), "hello"), saying(LLMRunFrame()), lambda tap: "hello" in tap.texts
    )


@case("Gemini Live, text turn")
async def live():
    from pipecat.services.google.gemini_live.llm import GeminiLiveLLMService

    enough = lambda tap: "hello" in tap.texts and tap.sound > 10_000  # noqa: E731
    return await go(talk(GeminiLiveLLMService(api_key="k"), "hello"), saying(LLMRunFrame()), enough)


@case("Gemini Live, microphone turn")
async def live_microphone():
    from pipecat.services.google.gemini_live.llm import GeminiLiveLLMService

    async def feed(task):
        await task.queue_frame(LLMRunFrame())
        await asyncio.sleep(1.5)
        await microphone(task)

    return await go(
        talk(GeminiLiveLLMService(api_key="k")), feed, lambda tap: "time" in tap.texts and tap.sound > 10_000
    )


run()
