"""The voice: Chirp 3 HD by StreamingSynthesize, early, gapless, and with an account of what was heard."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, cast

from google.cloud import texttospeech_v1 as tts
from loguru import logger
from pipecat.frames.frames import (
    AggregatedTextFrame,
    CancelFrame,
    ControlFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
)
from pipecat.metrics.metrics import MetricsData
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.google.tts import language_to_google_tts_language
from pipecat.services.settings import NOT_GIVEN, NotGiven, TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.transcriptions.language import Language
from pipecat.utils.context.aggregated_frame_sequencer import AggregatedFrameSequencer
from pipecat.utils.text.transforms.text_transform import TextTransform
from pipecat.utils.time import nanoseconds_to_seconds
from pipecat.utils.types import is_given

from processors.chirp_errors import SynthesisError, synthesis_error
from processors.chirp_stream import StandBy, SynthesisStream
from processors.chirp_utterance import Piece, Utterance
from processors.chirp_voices import check_speaking_rate, check_voice
from processors.errors import ConfigurationError
from processors.frames import TurnSentFrame
from processors.google_clients import texttospeech_client
from processors.heard_ledger import HeardLedger, LedgerEntry
from processors.heard_playback import PlaybackClock
from processors.heard_text import SpeechRate
from processors.heard_units import SpokenWord, is_spaceless
from processors.speech_text import CODE, FirstPiece, SpeechTextAggregator, split_utf8
from processors.speech_text_clean import speakable

# Facts B1: the native rate of the voices; others may be refused. Transports resample.
SAMPLE_RATE = 24_000
# Facts B2: 5,000 bytes a request. Some room is left for what the server may count besides the text.
MAX_PIECE_BYTES = 4_500
# Facts B3: first audio is measured at 280 to 350 ms from far away; several times that means it will not come.
FIRST_AUDIO_SECS = 2.5
STALL_SECS = 2.0
# A piece that has given no audio for this long in all is skipped: silence is worse than a missing sentence.
PIECE_BUDGET_SECS = 5.0
_FIRST_BACKOFF_SECS = 0.25


@dataclass(frozen=True)
class Pronunciation:
    """How to say a phrase (facts B1: en-US first; other locales may ignore it).

    Parameters:
        phrase: The phrase exactly as it occurs in the text.
        pronunciation: How it sounds, in ``encoding``.
        encoding: Phonetic alphabet.
    """

    phrase: str
    pronunciation: str
    encoding: Literal["ipa", "x-sampa", "yomigana", "pinyin"] = "ipa"


_ENCODINGS = {
    "ipa": tts.CustomPronunciationParams.PhoneticEncoding.PHONETIC_ENCODING_IPA,
    "x-sampa": tts.CustomPronunciationParams.PhoneticEncoding.PHONETIC_ENCODING_X_SAMPA,
    "yomigana": tts.CustomPronunciationParams.PhoneticEncoding.PHONETIC_ENCODING_JAPANESE_YOMIGANA,
    "pinyin": tts.CustomPronunciationParams.PhoneticEncoding.PHONETIC_ENCODING_PINYIN,
}


@dataclass
class ChirpTTSSettings(TTSSettings):
    """Settings of :class:`ChirpTTSService`, changeable while it runs.

    Parameters:
        speaking_rate: Multiple of the voice's own speed, 0.25 to 2.0; None for the voice's own.
        markup: Whether ``[pause short]``, ``[pause]`` and ``[pause long]`` in the text are pauses. Without it they
            are dropped.
        custom_pronunciations: How to say certain phrases.
        voice_cloning_key: Key of an instant custom voice, which then speaks instead of ``voice``.
    """

    speaking_rate: float | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    markup: bool | NotGiven = field(default_factory=lambda: NOT_GIVEN)
    custom_pronunciations: Sequence[Pronunciation] | NotGiven = field(default_factory=lambda: NOT_GIVEN)
    voice_cloning_key: str | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)


class TTSDiscardedMetricsData(MetricsData):
    """Characters that were sent to synthesis but never heard.

    Parameters:
        value: Number of characters.
    """

    value: int


@dataclass
class _FirstPieceDueFrame(ControlFrame):
    """Sent by the service to itself: the first piece has waited long enough."""


class _Sequencer(AggregatedFrameSequencer):
    """Pipecat's sequencer, which can also be told that a segment will never be spoken."""

    latest: AggregatedTextFrame | None = None

    async def register_spoken(self, frame: AggregatedTextFrame, *args: Any, **kwargs: Any) -> list[Frame]:
        """Register a segment and remember it as the latest."""
        self.latest = frame
        return await super().register_spoken(frame, *args, **kwargs)

    def abandon(self, frame: AggregatedTextFrame) -> list[Frame]:
        """Close a segment without its unheard words being taken for spoken.

        Args:
            frame: What announced the segment.

        Returns:
            Frames that waited for it.
        """
        for slot in self._slots:
            if slot.frame is frame:
                slot.complete = True
        return self.flush()


class ChirpTTSService(TTSService):
    """Speaks with Chirp 3 HD voices.

    The reply's first clause is synthesized as soon as it is written, on a stream that stands ready; later pieces are
    whole sentences, synthesized ahead of what is heard. Words are reported (as ``TTSTextFrame``) while they are heard,
    so that captions follow the voice and the context holds what was heard when the user interrupts.
    """

    Settings = ChirpTTSSettings
    _settings: ChirpTTSSettings

    _PRIOR_RATE: ClassVar[dict[str, float]] = {"ko": 0.16, "ja": 0.17, "cmn": 0.2, "yue": 0.2, "zh": 0.2}

    def __init__(
        self,
        *,
        client: tts.TextToSpeechAsyncClient | None = None,
        location: str | None = None,
        settings: ChirpTTSSettings | None = None,
        first_piece: FirstPiece | None = None,
        output_latency: float = 0.02,
        text_transforms: Sequence[tuple[str, TextTransform]] | None = None,
        **kwargs: Any,
    ):
        """Initialize; nothing is connected yet.

        Args:
            client: Text-to-Speech client, or None to make one from the environment when the pipeline is set up.
            location: Region of the endpoint, or None for the global one (facts B4).
            settings: Voice, language and how it speaks.
            first_piece: When the first piece of a reply is good enough to be spoken.
            output_latency: Seconds from pushing audio into an idle pipeline until it is heard.
            text_transforms: Rewriting of text before synthesis, after what makes it speakable.
            **kwargs: Arguments of Pipecat's ``TTSService``.

        Raises:
            ConfigurationError: If voice, language and speaking rate do not fit together.
        """
        defaults = self.Settings(
            model=None,
            voice="en-US-Chirp3-HD-Charon",
            language="en-US",
            speaking_rate=None,
            markup=False,
            custom_pronunciations=(),
            voice_cloning_key=None,
        )
        if settings is not None:
            defaults.apply_update(settings)
        super().__init__(
            settings=defaults,
            push_text_frames=False,
            push_start_frame=True,
            skip_text_types=[CODE],
            text_transforms=[("*", speakable), *(text_transforms or [])],
            **kwargs,
        )
        _check(self._settings)
        self._client = client
        self._location = location
        self._first_piece = first_piece or FirstPiece()
        self._cutter = SpeechTextAggregator(self._language, self._first_piece)
        self._text_aggregator = self._cutter  # type: ignore[assignment]  # Pipecat annotates its default
        self._sequencer = _Sequencer(name=str(self))
        self._aggregated_frame_sequencer = self._sequencer
        self.ledger = HeardLedger()
        self._playback = PlaybackClock(output_latency)
        self._rate = self._new_rate()
        self._utterances: dict[str, Utterance] = {}
        self._stand_by = StandBy(self._open_stream, self.create_task)
        self._first_piece_task: asyncio.Task | None = None
        self._phrase = False

    @property
    def _language(self) -> str:
        return str(self._settings.language)

    @property
    def supports_processing_metrics(self) -> bool:
        """False: synthesis goes on after ``run_tts`` has returned."""
        return False

    def can_generate_metrics(self) -> bool:
        """Whether this service reports metrics: it does."""
        return True

    def language_to_service_language(self, language: Language) -> str | None:
        """Convert a language to Google's locale.

        Args:
            language: The language.

        Returns:
            Locale.
        """
        return language_to_google_tts_language(language)

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]  # as Pipecat's own
        """Make the client.

        Args:
            setup: Pipecat's setup.

        Raises:
            ConfigurationError: If there are no usable credentials.
        """
        await super().setup(setup)
        if self._client is None:
            self._client = texttospeech_client(self._location)

    async def start(self, frame: StartFrame) -> None:
        """Begin to connect, so that the first reply finds the channel warm.

        Args:
            frame: The start frame.
        """
        await super().start(frame)
        if channel := getattr(getattr(self._client, "transport", None), "grpc_channel", None):
            channel.get_state(try_to_connect=True)

    async def stop(self, frame: EndFrame) -> None:
        """Finish what is being said, then end.

        Args:
            frame: The end frame.
        """
        for utterance in self._utterances.values():
            utterance.end()
        await super().stop(frame)
        self._stand_by.close()

    async def cancel(self, frame: CancelFrame) -> None:
        """Fall silent at once.

        Args:
            frame: The cancel frame.
        """
        self._stop_everything()
        await super().cancel(frame)

    async def cleanup(self) -> None:
        """Release what is left."""
        self._stop_everything()
        await super().cleanup()

    #
    # Frames
    #

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame.

        Args:
            frame: The frame.
            direction: Where it travels.
        """
        if isinstance(frame, _FirstPieceDueFrame):
            await self._force_first_piece()
            return
        if isinstance(frame, TurnSentFrame | LLMFullResponseStartFrame):
            self._stand_by.expect()
        self._phrase = isinstance(frame, TTSSpeakFrame)
        pending = self._cutter.text.text if isinstance(frame, InterruptionFrame) else ""
        await super().process_frame(frame, direction)
        if pending:
            self.ledger.add(LedgerEntry(self.now(), "cut", "", pending, "interrupted"))
        if isinstance(frame, LLMTextFrame):
            self._watch_first_piece()

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Push a frame; audio is noted as handed to the loudspeaker.

        Args:
            frame: The frame.
            direction: Where it travels.
        """
        if isinstance(frame, TTSAudioRawFrame):
            secs = frame.num_frames / frame.sample_rate
            at = self._playback.play(self.now(), secs)
            if utterance := self._utterances.get(frame.context_id or ""):
                utterance.played(at, secs)
        await super().push_frame(frame, direction)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Hand a piece over to be spoken; its audio follows through the audio context.

        Args:
            text: What to say.
            context_id: The audio context.

        Yields:
            None: audio does not come this way.
        """
        utterance = self._utterances.get(context_id)
        if utterance is None:
            utterance = self._utterances[context_id] = Utterance(
                context_id,
                self,
                self._playback,
                self._rate,
                language=self._language,
                sample_rate=SAMPLE_RATE,
                create_task=self.create_task,
            )
        for part in split_utf8(text, MAX_PIECE_BYTES):
            utterance.say(part, self._sequencer.latest, phrase=self._phrase)
        yield None

    async def flush_audio(self, context_id: str | None = None) -> None:
        """The utterance is complete as far as its text goes.

        Args:
            context_id: Its audio context.
        """
        if utterance := self._utterances.get(context_id or ""):
            utterance.end()
        elif context_id and self.audio_context_available(context_id):
            await self.remove_audio_context(context_id)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Stop synthesis and account for what is cut off.

        Args:
            context_id: The audio context that was interrupted.
        """
        utterance = self._utterances.pop(context_id, None)
        if utterance is None:
            return
        unheard = utterance.stop()
        now = self.now()
        self._playback.stop(now)
        for text in unheard:
            self.ledger.add(LedgerEntry(now, "cut", context_id, text, "interrupted"))
        await self._report_discarded(sum(map(len, unheard)))

    async def on_audio_context_completed(self, context_id: str) -> None:
        """Forget an utterance that is over.

        Args:
            context_id: Its audio context.
        """
        if utterance := self._utterances.pop(context_id, None):
            utterance.stop()

    #
    # First piece
    #

    def _watch_first_piece(self) -> None:
        if self._first_piece_task is not None:
            self._first_piece_task.cancel()
            self._first_piece_task = None
        if self._cutter.segmenter.awaits_first:
            self._first_piece_task = self.create_task(self._first_piece_due())

    async def _first_piece_due(self) -> None:
        await asyncio.sleep(self._first_piece.wait)
        # Through the service's own queue, so that it cannot overtake or be overtaken by text.
        await self.queue_frame(_FirstPieceDueFrame())

    async def _force_first_piece(self) -> None:
        if piece := self._cutter.force():
            await self.stop_text_aggregation_metrics()
            await self._handle_aggregated_text(self._aggregated_text_frame(piece))

    #
    # Host of utterances
    #

    def now(self) -> float:
        """Pipeline clock, in seconds."""
        return nanoseconds_to_seconds(self.get_clock().get_time())

    def keep_alive(self, utterance: Utterance) -> None:
        """The utterance waits, but is not over.

        Args:
            utterance: Which.
        """
        self._refresh_audio_context(utterance.context_id)

    async def append_audio(self, utterance: Utterance, pcm: bytes) -> None:
        """Queue audio.

        Args:
            utterance: Whose.
            pcm: 16-bit mono PCM at ``SAMPLE_RATE``.
        """
        frame = TTSAudioRawFrame(pcm, SAMPLE_RATE, 1, context_id=utterance.context_id)
        await self.append_to_audio_context(utterance.context_id, frame)

    async def word_heard(self, utterance: Utterance, piece: Piece, word: SpokenWord, at: float) -> None:
        """Report a word through Pipecat's word-timestamp path.

        Args:
            utterance: Whose.
            piece: Of which piece.
            word: The word.
            at: Clock time at which it is heard.
        """
        self.ledger.add(LedgerEntry(at, "heard", utterance.context_id, word.text))
        offset = at - (utterance.record.began_at or at)
        await self.add_word_timestamps(
            [(word.text, offset)], utterance.context_id, includes_inter_frame_spaces=is_spaceless(piece.text)
        )

    async def piece_skipped(self, utterance: Utterance, piece: Piece, text: str, error: SynthesisError) -> None:
        """Account for text that will not be heard.

        Args:
            utterance: Whose.
            piece: Of which piece.
            text: The text.
            error: Why.
        """
        self.ledger.add(LedgerEntry(self.now(), "skipped", utterance.context_id, text, error.reason))
        if piece.segment is not None:
            for frame in self._sequencer.abandon(piece.segment):
                await self.append_to_audio_context(utterance.context_id, frame)
        await self.push_error(error.reason, category=error.category)

    async def utterance_done(self, utterance: Utterance) -> None:
        """Close the audio context; its last audio may still be playing.

        Args:
            utterance: Which.
        """
        await self.append_to_audio_context(utterance.context_id, TTSStoppedFrame(context_id=utterance.context_id))
        await self.remove_audio_context(utterance.context_id)

    async def synthesize(self, text: str, *, phrase: bool) -> AsyncIterator[bytes]:
        """Yield the audio of a text; tries again as long as nothing has come and the budget lasts.

        Args:
            text: What to say.
            phrase: Whether it may be spoken often.

        Yields:
            16-bit mono PCM at ``SAMPLE_RATE``.

        Raises:
            SynthesisError: If it failed for good, or broke off.
        """
        deadline = self.now() + PIECE_BUDGET_SECS
        backoff = _FIRST_BACKOFF_SECS
        tries = 0
        while True:
            got_audio = False
            try:
                async for chunk in self._attempt(text):
                    got_audio = True
                    yield chunk
                return
            except Exception as raised:
                error = synthesis_error(raised, str(self._settings.voice))
                tries += 1
                allowed = error.throttled or tries < 2
                if got_audio or not error.retry or not allowed or self.now() + backoff > deadline:
                    raise error from raised
                logger.warning(f"{self}: {error.reason} Trying again.")
            await asyncio.sleep(backoff)
            backoff *= 2

    async def _attempt(self, text: str) -> AsyncIterator[bytes]:
        stream = self._stand_by.take() or self._open_stream()
        try:
            stream.speak(self._input(text))
            self.ledger.add(LedgerEntry(self.now(), "sent", "", text))
            await self.start_tts_usage_metrics(text)
            chunks = stream.audio()
            patience = FIRST_AUDIO_SECS
            while True:
                async with asyncio.timeout(patience):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                yield chunk
                patience = STALL_SECS
        finally:
            stream.cancel()

    #
    # Settings
    #

    async def _update_settings(self, delta: TTSSettings) -> dict[str, Any]:  # type: ignore[override]  # as Pipecat's own
        wanted = replace(self._settings)
        wanted.apply_update(cast(ChirpTTSSettings, delta))
        try:
            _check(wanted)
        except ConfigurationError as error:
            await self.push_error(f"The voice stays as it was: {error}")
            return {}
        changed = await super()._update_settings(delta)
        if changed:
            self._stand_by.close()
            self._rate = self._new_rate()
        return changed

    def _new_rate(self) -> SpeechRate:
        prior = self._PRIOR_RATE.get(self._language.split("-")[0], 0.2)
        speed = self._settings.speaking_rate
        return SpeechRate(prior / speed if is_given(speed) and speed else prior)

    def _input(self, text: str) -> tts.StreamingSynthesisInput:
        if self._settings.markup:
            return tts.StreamingSynthesisInput(markup=text)
        return tts.StreamingSynthesisInput(text=text)

    def _open_stream(self) -> SynthesisStream:
        if self._client is None:
            raise RuntimeError("the service was not set up")
        return SynthesisStream(self._client, self._config(), self.create_task)

    def _config(self) -> tts.StreamingSynthesizeConfig:
        settings = self._settings
        voice = tts.VoiceSelectionParams(language_code=self._language)
        if settings.voice_cloning_key:
            voice.voice_clone = tts.VoiceCloneParams(voice_cloning_key=settings.voice_cloning_key)
        else:
            voice.name = str(settings.voice)
        pronunciations = [
            tts.CustomPronunciationParams(
                phrase=p.phrase, phonetic_encoding=_ENCODINGS[p.encoding], pronunciation=p.pronunciation
            )
            for p in settings.custom_pronunciations or ()
        ]
        return tts.StreamingSynthesizeConfig(
            voice=voice,
            streaming_audio_config=tts.StreamingAudioConfig(
                audio_encoding=tts.AudioEncoding.PCM,
                sample_rate_hertz=SAMPLE_RATE,
                speaking_rate=settings.speaking_rate or None,
            ),
            custom_pronunciations=tts.CustomPronunciations(pronunciations=pronunciations) if pronunciations else None,
        )

    async def _report_discarded(self, characters: int) -> None:
        if characters:
            data = TTSDiscardedMetricsData(processor=self.name, value=characters)
            await self.push_frame(MetricsFrame(data=[data]))

    def _stop_everything(self) -> None:
        self._stand_by.close()
        for utterance in self._utterances.values():
            utterance.stop()
        self._utterances.clear()


def _check(settings: ChirpTTSSettings) -> None:
    check_voice(
        str(settings.voice) if settings.voice else None,
        str(settings.language) if settings.language else None,
        cloned=bool(settings.voice_cloning_key),
    )
    rate = settings.speaking_rate
    check_speaking_rate(rate if is_given(rate) else None)
