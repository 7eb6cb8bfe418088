"""Stock Pipecat as a peer: its own services and strategies untouched, only their clients lead to the emulator."""

from unittest.mock import patch

from google.auth.credentials import AnonymousCredentials
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.google.stt import GoogleSTTService
from pipecat.services.google.tts import GoogleTTSService
from pipecat.transports.base_transport import BaseTransport

from halfcascade.processors.gemini_live import GeminiLiveTextProcessor
from halfcascade.processors.google_clients import speech_client, texttospeech_client


class StockTTS(GoogleTTSService):
    """Pipecat's voice; its client comes from elsewhere."""

    def _create_client(self, credentials, credentials_path):
        return texttospeech_client()


def stock_stt() -> GoogleSTTService:
    """Pipecat's ears with its default settings. Must be called with the event loop running."""
    client, project = speech_client()
    with (
        patch("pipecat.services.google.stt.default", return_value=(AnonymousCredentials(), project)),
        patch("pipecat.services.google.stt.speech_v2.SpeechAsyncClient", return_value=client),
    ):
        return GoogleSTTService()


def stock_user_aggregator(context: LLMContext) -> LLMContextAggregatorPair:
    """Pipecat's turns with its default strategies: Silero VAD and Smart Turn v3."""
    params = LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    return LLMContextAggregatorPair(context, user_params=params, realtime_service_mode=False)


def stock_pipeline(transport: BaseTransport) -> tuple[Pipeline, FrameProcessor, FrameProcessor, FrameProcessor]:
    """Chain Pipecat's own ears, turns and voice.

    Pipecat has no Gemini Live service whose text an external voice can speak, so the brain is this project's on both
    sides; what is compared is what is before and after it.

    Returns:
        The pipeline, its ears, its brain and its voice.
    """
    context = LLMContext()
    ears, turns, voice = stock_stt(), stock_user_aggregator(context), StockTTS()
    brain = GeminiLiveTextProcessor(context=context)
    chain = [transport.input(), ears, turns.user(), brain, voice, transport.output(), turns.assistant()]
    return Pipeline(chain), ears, brain, voice
