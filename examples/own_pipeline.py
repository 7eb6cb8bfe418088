"""Use ears, brain and voice in a pipeline of your own: a user who is a WAV file, a bot that prints what is said.

    python -m examples.own_pipeline USER.wav

Any Pipecat transport can take the place of ``WavTransport``. Two things matter: the assistant aggregator comes after
the output, since the brain learns there what was heard, and ``realtime_service_mode`` is off, since the Live session is
used as text.
"""

import asyncio
import sys

from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.workers.runner import WorkerRunner

from halfcascade.processors.chirp_tts import ChirpTTSService
from halfcascade.processors.gemini_live import GeminiLiveTextProcessor
from halfcascade.processors.google_stt import GoogleStreamingSTTService
from halfcascade.processors.turns import SpeechDetector, user_turn_strategies
from halfcascade.transports.wav import WavTransport, WavTransportParams


async def main(user_audio: str) -> LLMContext:
    """Hold the conversation to its end and print it.

    Args:
        user_audio: What the user says: a WAV file.

    Returns:
        The conversation.
    """
    context = LLMContext()
    user, assistant = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(user_turn_strategies=user_turn_strategies("en-US")),
        realtime_service_mode=False,
    )
    transport = WavTransport(WavTransportParams(user_audio=user_audio))
    ears, brain, voice = GoogleStreamingSTTService(), GeminiLiveTextProcessor(context=context), ChirpTTSService()
    pipeline = Pipeline([
        transport.input(), SpeechDetector(), ears, user, brain, voice, transport.output(), assistant
    ])  # fmt: skip
    rates = PipelineParams(audio_in_sample_rate=16_000, audio_out_sample_rate=24_000)
    worker = PipelineWorker(pipeline, params=rates, idle_timeout_secs=5)  # ends when nobody has spoken for so long
    runner = WorkerRunner()
    await runner.add_workers(worker)
    await runner.run()
    for message in context.messages:
        if isinstance(message, dict):
            print(f"{message['role']}: {message.get('content')}")
    return context


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
