"""The whole chain, on one screen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.aggregators.llm_response_universal import (
    LLMUserAggregator,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transcriptions.language import Language
from pipecat.transports.base_transport import BaseTransport

from halfcascade.bot.choices import find_factory, unusable
from halfcascade.bot.outputs import fit_out
from halfcascade.bot.services import GoogleServices, Services
from halfcascade.bot.settings import SHORT_START, Settings
from halfcascade.bot.toolbox import Tool, check_names
from halfcascade.processors.chirp_tts.protocol.events import SpeechParams
from halfcascade.processors.chirp_tts.segmenter import FirstSegment
from halfcascade.processors.chirp_tts.service import ChirpTTSService
from halfcascade.processors.chirp_tts.settings import SAMPLE_RATE
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.gate import LoudspeakerEnd, MicrophoneEnd, MicrophoneGate
from halfcascade.processors.gemini_live import GeminiLiveTextProcessor, builtin_tools
from halfcascade.processors.gemini_live.protocol.models import lookup
from halfcascade.processors.google_stt.service import GoogleStreamingSTTService
from halfcascade.processors.listening import ListeningMachine
from halfcascade.processors.listening.processor import ListeningProcessor
from halfcascade.processors.openers import OpenerMachine, OpenerMode, OpenerParams
from halfcascade.processors.openers.processor import OpenerProcessor
from halfcascade.processors.outages import OutageAnnouncer, TroubleTone
from halfcascade.processors.playout import Playout
from halfcascade.processors.turns import (
    BotSpeech,
    BotSpeechTap,
    Speculations,
    SpeechDetector,
    joining_aggregators,
    user_turn_strategies,
)

AUDIO_IN_RATE = 16_000
AUDIO_OUT_RATE = 24_000


@dataclass
class BotPipeline:
    """A built pipeline and the parts an application may want to hold.

    Parameters:
        pipeline: What a ``PipelineWorker`` runs, with ``AUDIO_IN_RATE`` and ``AUDIO_OUT_RATE``.
        context: The conversation; holds of the bot's words only what was heard.
        ears: Speech-to-Text.
        user: User turn aggregator (turn events).
        brain: The Live session.
        voice: Text-to-Speech.
        gate: Closes the microphone.
    """

    pipeline: Pipeline
    context: LLMContext
    ears: GoogleStreamingSTTService
    user: LLMUserAggregator
    brain: GeminiLiveTextProcessor
    voice: ChirpTTSService
    gate: MicrophoneGate


def build_pipeline(
    transport: BaseTransport,
    settings: Settings,
    tools: Sequence[Tool] = (),
    *,
    environ: Mapping[str, str] | None = None,
    playout: Playout | None = None,
    history: Sequence[LLMContextMessage] = (),
    services: Services | None = None,
) -> BotPipeline:
    """Chain transport, ears, turns, brain and voice.

    Args:
        transport: Where audio enters and leaves.
        settings: What to listen for, who answers, and how it sounds.
        tools: Functions for the model besides the built-in ones.
        environ: Variables that say which servers the services talk to; None means this process's.
        history: What was said and heard before, if the talk continues an earlier one.
        playout: Ducks and fades for a transport that cannot do so itself; its filter must be that transport's. None
            lets `fit_out` see to it.
        services: Where the clients of the three services come from; None means Google, or where ``environ`` leads.

    Returns:
        The pipeline and its parts.

    Raises:
        ConfigurationError: If settings contradict each other, two tools have one name, or a user's processor cannot
            be loaded.
    """
    offered = [*(builtin_tools() if settings.tools else []), *tools]
    check_names(offered)
    context = LLMContext(list(history), tools=offered)
    services = services or GoogleServices(environ)
    ears = make_ears(settings, services=services)
    gate = MicrophoneGate()
    gate.heard = services.heard
    bot_speech = BotSpeech()
    user, assistant = joining_aggregators(
        context,
        user_params=LLMUserAggregatorParams(
            user_turn_strategies=user_turn_strategies(
                settings.listen_for,
                understand_barge_in=settings.understand_barge_in,
                speculations=Speculations() if settings.speculate else None,
                bot_speech=bot_speech,
            ),
        ),
    )
    brain, voice = make_brain(settings, context, services=services), make_voice(settings, services=services)
    users = [load_processor(path) for path in settings.processors]
    output = transport.output()
    playout = fit_out(output, playout)
    pipeline = Pipeline(
        [
            transport.input(),
            gate,
            SpeechDetector(),
            ears,
            user,
            # Processors of a user may listen; nothing else behind the turns does.
            *([brain, *users, MicrophoneEnd()] if users else [MicrophoneEnd(), brain]),
            *([openers(settings, voice)] if settings.openers is not OpenerMode.OFF else []),
            BotSpeechTap(bot_speech, audible=False),
            OutageAnnouncer(settings.language),
            voice,
            TroubleTone(),
            *([listening_sounds(settings, voice)] if settings.listening else []),
            *([playout.processor] if playout else []),
            output,
            LoudspeakerEnd(),
            BotSpeechTap(bot_speech, audible=True),
            assistant,
        ]
    )
    return BotPipeline(pipeline, context, ears, user, brain, voice, gate)


def make_ears(
    settings: Settings, environ: Mapping[str, str] | None = None, *, services: Services | None = None
) -> GoogleStreamingSTTService:
    """Make Speech-to-Text as a talk has it.

    Args:
        settings: What to listen for.
        environ: Variables that say which servers are talked to; None means this process's.
        services: Where its client comes from; None means Google, or where ``environ`` leads.

    Raises:
        ConfigurationError: If settings contradict each other.
    """
    return GoogleStreamingSTTService(
        location=settings.stt_location,
        settings=GoogleStreamingSTTService.Settings(
            model=settings.stt_model, languages=cast(list[Language], settings.listen_for)
        ),
        eager=settings.speculate,
        make_client=(services or GoogleServices(environ)).speech,
    )


def make_brain(
    settings: Settings,
    context: LLMContext,
    environ: Mapping[str, str] | None = None,
    *,
    services: Services | None = None,
) -> GeminiLiveTextProcessor:
    """Make the Live session as a talk has it.

    Args:
        settings: Who answers.
        context: The conversation, with the functions for the model.
        environ: Variables that say which servers are talked to; None means this process's.
        services: Where its client comes from; None means Google, or where ``environ`` leads.
    """
    services = services or GoogleServices(environ)
    instruction = f"{settings.instruction} {SHORT_START}" if settings.short_start else settings.instruction
    return GeminiLiveTextProcessor(
        settings=GeminiLiveTextProcessor.Settings(
            model=settings.model, system_instruction=instruction, language=settings.language
        ),
        context=context,
        make_client=services.gemini,
        opener=services.open_live,
    )


def make_voice(
    settings: Settings, environ: Mapping[str, str] | None = None, *, services: Services | None = None
) -> ChirpTTSService:
    """Make Text-to-Speech as a talk has it.

    Args:
        settings: How it sounds.
        environ: Variables that say which servers are talked to; None means this process's.
        services: Where its client comes from; None means Google, or where ``environ`` leads.

    Raises:
        ConfigurationError: If settings contradict each other.
    """
    # What a model says aloud is transcribed word by word (docs/facts/live.md); text comes as it likes.
    first = FirstSegment(
        settle=min(FirstSegment.settle, settings.first_wait),
        wait=settings.first_wait,
        whole_words=not lookup(settings.model).text_output,
    )
    return ChirpTTSService(
        location=settings.tts_location,
        settings=ChirpTTSService.Settings(
            voice=settings.voice_name, language=settings.language, speaking_rate=settings.speaking_rate
        ),
        first_segment=first,
        speech=SpeechParams(one_stream=settings.one_stream),
        make_client=(services or GoogleServices(environ)).texttospeech,
    )


def openers(settings: Settings, voice: ChirpTTSService) -> OpenerProcessor:
    """Make what says a short word while an answer is slow.

    Args:
        settings: The language, and when openers are said.
        voice: Says them.

    Returns:
        The processor, to stand between brain and voice.
    """
    machine = OpenerMachine(settings.language, OpenerParams(mode=settings.openers))
    return OpenerProcessor(machine, voice.prepare_phrase)


def listening_sounds(settings: Settings, voice: ChirpTTSService) -> ListeningProcessor:
    """Make what says "mm-hm" in pauses of the user's turn.

    Args:
        settings: The language.
        voice: Makes the sounds.

    Returns:
        The processor, to stand between voice and output transport.
    """
    return ListeningProcessor(ListeningMachine(settings.language), voice.phrase_sound, sample_rate=SAMPLE_RATE)


def load_processor(path: str) -> FrameProcessor:
    """Make one of the user's own processors; it sits between brain and voice, where the reply is text.

    Args:
        path: ``package.module:factory``; the factory takes no argument and returns a ``FrameProcessor``.

    Returns:
        The processor.

    Raises:
        ConfigurationError: If there is no such factory, or it returns something else.
    """
    try:
        processor = find_factory(path)()
    except Exception as error:  # whatever the user's own code raises
        raise unusable(path, error) from error
    if not isinstance(processor, FrameProcessor):
        raise ConfigurationError(
            f"--processor {path} returned {type(processor).__name__}, not a FrameProcessor: let it return one."
        )
    return processor
