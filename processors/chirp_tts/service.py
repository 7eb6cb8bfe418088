"""The voice: Chirp 3 HD by StreamingSynthesize, early, gapless, and with an account of what was heard."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

from google.cloud import texttospeech_v1 as tts
from pipecat.frames.frames import (
    CancelFrame,
    EagerEndOfTurnCancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseStartFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import TTSSettings
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.text.transforms.text_transform import TextTransform
from pipecat.utils.tracing.service_decorators import traced_tts

from halfcascade.processors.chirp_tts.audio import SpeechTrimmer
from halfcascade.processors.chirp_tts.errors import SynthesisError
from halfcascade.processors.chirp_tts.feed import TextFeed
from halfcascade.processors.chirp_tts.foreseen import ForeseenStart
from halfcascade.processors.chirp_tts.heard.ledger import HeardLedger, LedgerEntry
from halfcascade.processors.chirp_tts.heard.playback import PlaybackClock
from halfcascade.processors.chirp_tts.heard.sequencer import SpokenSequencer
from halfcascade.processors.chirp_tts.heard.text import SpeechRate
from halfcascade.processors.chirp_tts.outcome import SpeechOutcome, TTSDiscardedMetricsData
from halfcascade.processors.chirp_tts.phrase_cache import PhraseCache
from halfcascade.processors.chirp_tts.protocol.events import (
    Action,
    Done,
    Heard,
    KeepAlive,
    OutageBegan,
    OutageOver,
    RenewChannel,
    Skipped,
    SpeechParams,
)
from halfcascade.processors.chirp_tts.protocol.health import VoiceHealth
from halfcascade.processors.chirp_tts.protocol.speech import SpeechMachine
from halfcascade.processors.chirp_tts.replies import ReplyCutter
from halfcascade.processors.chirp_tts.reply import MARKUP, foreseen_words
from halfcascade.processors.chirp_tts.segmenter import FirstSegment
from halfcascade.processors.chirp_tts.settings import (
    SAMPLE_RATE,
    ChirpTTSSettings,
    prior_rate,
)
from halfcascade.processors.chirp_tts.speaker import MakeClient
from halfcascade.processors.chirp_tts.synthesizer import ChirpSynthesizer
from halfcascade.processors.chirp_tts.text import split_utf8
from halfcascade.processors.chirp_tts.utterance import Utterance
from halfcascade.processors.frames import (
    AnswerForeseenFrame,
    PlayoutDelayFrame,
    Service,
    ServiceOutageFrame,
    ServiceRecoveredFrame,
    TurnSentFrame,
)
from halfcascade.processors.written.speakable import speakable

__all__ = ["ChirpTTSService", "TTSDiscardedMetricsData"]

# facts/tts#limits: 5,000 bytes a request. Some room is left for what the server may count besides the text.
MAX_SEGMENT_BYTES = 4_500
# A segment must be handed over before the voice would fall silent, by the time to first audio and this.
_LEAD_SECS = 0.2


class ChirpTTSService(ReplyCutter):
    """Speaks with Chirp 3 HD voices.

    The reply's first clause is synthesized as soon as it is written, on a stream that stands ready; later segments are
    whole sentences, synthesized ahead of what is heard. Words are reported (as ``TTSTextFrame``) while they are heard,
    so that captions follow the voice and the context holds what was heard when the user interrupts.
    """

    def __init__(
        self,
        *,
        client: tts.TextToSpeechAsyncClient | None = None,
        location: str | None = None,
        settings: ChirpTTSSettings | None = None,
        first_segment: FirstSegment | None = None,
        phrase_cache: PhraseCache | None = None,
        output_latency: float = 0.02,
        speech: SpeechParams | None = None,
        text_transforms: Sequence[tuple[str, TextTransform]] | None = None,
        environ: Mapping[str, str] | None = None,
        make_client: MakeClient | None = None,
        **kwargs: Any,
    ):
        """Initialize; nothing is connected yet.

        Args:
            client: Text-to-Speech client, or None to make one from the environment when the pipeline is set up.
            location: Region of the endpoint, or None for the global one (facts/tts#locations).
            settings: Voice, language and how it speaks.
            first_segment: When the first segment of a reply is good enough to be spoken.
            phrase_cache: Keeps what ``TTSSpeakFrame`` says (greetings, fillers, apologies); a phrase found there
                costs no request.
            speech: Times of synthesis, and how long it is tried.
            output_latency: Seconds from pushing audio into an idle pipeline until it is heard.
            text_transforms: Rewriting of text before synthesis, after what makes it speakable.
            environ: Variables that say where a client of its own leads; None means this process's.
            make_client: Makes a client of its own for a location; None means
                ``halfcascade.processors.google_clients.texttospeech_client``.
            **kwargs: Arguments of Pipecat's ``TTSService``.

        Raises:
            ConfigurationError: If voice, language and speaking rate do not fit together.
        """
        super().__init__(
            client=client,
            location=location,
            settings=settings,
            environ=environ,
            make_client=make_client,
            first_segment=first_segment,
            text_transforms=text_transforms,
            **kwargs,
        )
        self._synthesizer = ChirpSynthesizer(
            self._channel.require, self._settings, self._sent, self.create_task, phrase_cache
        )
        self._foreseen = ForeseenStart(partial(self._synthesizer.synthesize, phrase=False), self.create_task)
        self._health = VoiceHealth(speech)
        self._sequencer = SpokenSequencer(name=str(self))
        self._aggregated_frame_sequencer = self._sequencer
        self.ledger = HeardLedger()
        self._outcome = SpeechOutcome(self, self.ledger, self._sequencer)
        self._playback = PlaybackClock(output_latency)
        self._rate = SpeechRate(prior_rate(self._settings))
        self._utterances: dict[str, Utterance] = {}

    @property
    def supports_processing_metrics(self) -> bool:
        """False: synthesis goes on after ``run_tts`` has returned."""
        return False

    def can_generate_metrics(self) -> bool:
        """Whether this service reports metrics: it does."""
        return True

    async def stop(self, frame: EndFrame) -> None:
        """Finish what is being said, then end.

        Args:
            frame: The end frame.
        """
        for utterance in self._utterances.values():
            utterance.end()
        await super().stop(frame)
        self._synthesizer.close()

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
        if isinstance(frame, AnswerForeseenFrame):
            words = partial(foreseen_words, locale=self._settings.locale)
            self._foreseen.wrote(frame.text, self._cutter, words)
            return
        if isinstance(frame, EagerEndOfTurnCancelFrame | InterruptionFrame | TurnSentFrame):
            await self._outcome.discarded(len(self._foreseen.drop()))
        if isinstance(frame, ServiceOutageFrame | ServiceRecoveredFrame) and frame.service is not Service.VOICE:
            # It may be the network that fails or has changed: what is said next, the news first, goes by a new one.
            self._renew_channel()
        if isinstance(frame, PlayoutDelayFrame):
            self._playback.latency = frame.secs
        if isinstance(frame, TurnSentFrame) or (isinstance(frame, LLMFullResponseStartFrame) and not frame.skip_tts):
            self._synthesizer.expect_text()
        pending = self._cutter.text.text if isinstance(frame, InterruptionFrame) else ""
        await super().process_frame(frame, direction)
        if pending:
            self._outcome.cut("", pending, self.now())

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

    @traced_tts
    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Hand a segment over to be spoken; its audio follows through the audio context.

        Args:
            text: What to say.
            context_id: The audio context.

        Yields:
            None: audio does not come this way.
        """
        utterance = self._utterances.get(context_id)
        if utterance is None:
            machine = SpeechMachine(
                self._playback,
                self._rate,
                self._health,
                language=self._settings.locale,
                sample_rate=SAMPLE_RATE,
                keepalive_secs=self._stop_frame_timeout_s / 3,
            )
            utterance = self._utterances[context_id] = Utterance(context_id, self, machine, self.create_task)
        segment = self._sequencer.latest
        markup = str(segment.metadata.get(MARKUP, "")) if segment and self._settings.markup else ""
        parts = split_utf8(text, MAX_SEGMENT_BYTES)
        for part in parts:
            utterance.say(part, segment, markup=markup if len(parts) == 1 else "", phrase=self._phrase)
        yield None

    async def prepare_phrase(self, text: str) -> bool:
        """Have a phrase at hand, so that a ``TTSSpeakFrame`` with it is heard at once and cannot fail.

        Args:
            text: The phrase as it will be given.

        Returns:
            Whether it is at hand.
        """
        return bool(await self._prepared(text))

    async def phrase_sound(self, text: str) -> bytes:
        """Have a phrase at hand, and get its sound, for whoever plays it past the voice.

        Args:
            text: The phrase.

        Returns:
            16-bit mono PCM at ``SAMPLE_RATE`` without silence around it; b"" if it could not be made.
        """
        trimmer = SpeechTrimmer(SAMPLE_RATE)
        sound = trimmer.feed(await self._prepared(text))
        return sound + trimmer.finish(0.0)[0]

    async def _prepared(self, text: str) -> bytes:
        said = speakable(text, self._settings.locale)
        return await self._synthesizer.prepare(said) if said and self.is_usable else b""

    async def flush_audio(self, context_id: str | None = None) -> None:
        """The utterance is complete as far as its text goes.

        Args:
            context_id: Its audio context.
        """
        if utterance := self._utterances.get(context_id or ""):
            utterance.end()
        elif context_id and self.audio_context_available(context_id):
            # Nothing was given to synthesis, because the service cannot work any more.
            for frame in self._sequencer.abandon(context_id):
                await self.append_to_audio_context(context_id, frame)
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
        if not self._utterances:
            self._playback.stop(now)
        for text in unheard:
            self._outcome.cut(context_id, text, now)
        await self._outcome.discarded(sum(map(len, unheard)))

    async def on_audio_context_completed(self, context_id: str) -> None:
        """Forget an utterance that is over.

        Args:
            context_id: Its audio context.
        """
        if utterance := self._utterances.pop(context_id, None):
            utterance.stop()

    async def _record_context_audio_outcome(self, context_id: str, received_audio: bool) -> None:
        """What gave no audio was reported with its words, and a voice that is away for a while is not given up."""

    def _dry_at(self) -> float | None:
        """Clock time at which the next segment must go to synthesis, or None while nothing is said."""
        utterance = self._utterances.get(self._turn_context_id or "")
        return utterance.runs_dry_at() - self._synthesizer.first_audio_secs - _LEAD_SECS if utterance else None

    #
    # Host of utterances
    #

    async def append_audio(self, utterance: Utterance, pcm: bytes) -> None:
        """Queue audio.

        Args:
            utterance: Whose.
            pcm: 16-bit mono PCM at ``SAMPLE_RATE``.
        """
        frame = TTSAudioRawFrame(pcm, SAMPLE_RATE, 1, context_id=utterance.context_id)
        await self.append_to_audio_context(utterance.context_id, frame)

    async def perform(self, utterance: Utterance, action: Action) -> None:
        """Do what an utterance's machine wants done in the pipeline.

        Args:
            utterance: Whose.
            action: What.
        """
        match action:
            case KeepAlive():
                self._refresh_audio_context(utterance.context_id)
            case Heard():
                await self._outcome.heard(utterance, action)
            case Skipped():
                await self._outcome.skipped(utterance, action, self.now())
            case RenewChannel():
                self._renew_channel()
            case OutageBegan(reason):
                await self.broadcast_frame(ServiceOutageFrame, service=Service.VOICE, line=reason)
            case OutageOver():
                await self.broadcast_frame(ServiceRecoveredFrame, service=Service.VOICE)
            case Done():
                # The utterance's last audio may still be playing.
                stopped = TTSStoppedFrame(context_id=utterance.context_id)
                await self.append_to_audio_context(utterance.context_id, stopped)
                await self.remove_audio_context(utterance.context_id)

    def _renew_channel(self) -> None:
        if closing := self._channel.renew():
            self._synthesizer.close()
            self.create_task(closing)

    async def synthesize(
        self, text: str, *, phrase: bool, again: bool, feed: TextFeed | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the audio of a text from one call.

        Args:
            text: What to say.
            phrase: Whether it may be spoken often.
            again: Whether it was asked for before.
            feed: Brings what is to be said behind it in the same call, if anything is.

        Yields:
            16-bit mono PCM at ``SAMPLE_RATE``.

        Raises:
            SynthesisError: If it failed, or broke off.
        """
        if not self.is_usable:
            raise SynthesisError("The voice cannot be used any more.", ErrorCategory.APPLICATION)
        foreseen = None if phrase or again else self._foreseen.take(text)
        if foreseen is None:
            sound = self._synthesizer.synthesize(text, phrase=phrase, again=again, feed=feed)
        else:
            sound = self._synthesizer.follow(foreseen, feed)
        async for chunk in sound:
            yield chunk
        self._health.slow = self._synthesizer.batch_only

    async def _sent(self, text: str, reason: str) -> None:
        self.ledger.add(LedgerEntry(self.now(), "sent", "", text, reason))
        if reason != "cache":
            await self.start_tts_usage_metrics(text)

    #
    # Settings
    #

    async def _update_settings(self, delta: TTSSettings) -> dict[str, Any]:  # type: ignore[override]  # as Pipecat's own
        changed = await super()._update_settings(delta)
        if changed:
            self._synthesizer.close()
            self._rate = SpeechRate(prior_rate(self._settings))
        return changed

    def _stop_everything(self) -> None:
        self._foreseen.drop()
        self._synthesizer.close()
        self._pending.close()
        for utterance in self._utterances.values():
            utterance.stop()
        self._utterances.clear()
