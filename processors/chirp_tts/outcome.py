"""Tells the pipeline what became of the voice's text: heard word by word, given up, or made for nothing."""

from pipecat.frames.frames import MetricsFrame
from pipecat.metrics.metrics import MetricsData
from pipecat.services.tts_service import TTSService
from pipecat.utils.errors import ErrorCategory

from halfcascade.processors.chirp_tts.errors import SynthesisError
from halfcascade.processors.chirp_tts.heard.ledger import HeardLedger, LedgerEntry
from halfcascade.processors.chirp_tts.heard.sequencer import SpokenSequencer
from halfcascade.processors.chirp_tts.protocol.events import Heard, Skipped
from halfcascade.processors.chirp_tts.utterance import Utterance
from halfcascade.processors.frames import SpeechSkippedFrame
from halfcascade.processors.language import has_unspaced

_LONGEST_QUOTE = 80


class TTSDiscardedMetricsData(MetricsData):
    """Characters that were sent to synthesis but never heard.

    Parameters:
        value: Number of characters.
    """

    value: int


class SpeechOutcome:
    """Reports through a TTS service, and keeps its ledger."""

    def __init__(self, voice: TTSService, ledger: HeardLedger, sequencer: SpokenSequencer):
        """Name who is reported through.

        Args:
            voice: The service.
            ledger: What was sent, heard, cut and skipped.
            sequencer: Puts the service's text frames in order.
        """
        self._voice = voice
        self._ledger = ledger
        self._sequencer = sequencer

    async def heard(self, utterance: Utterance, heard: Heard) -> None:
        """Report a word through Pipecat's word-timestamp path.

        Args:
            utterance: Of which utterance.
            heard: The word.
        """
        word, at = heard.word, heard.at
        self._ledger.add(LedgerEntry(at, "heard", utterance.context_id, word.text))
        offset = at - (utterance.record.began_at or at)
        await self._voice.add_word_timestamps(
            [(word.text, offset)],
            utterance.context_id,
            includes_inter_frame_spaces=has_unspaced(heard.segment.text),
        )

    async def skipped(self, utterance: Utterance, skipped: Skipped, now: float) -> None:
        """Account for text that will not be heard, and let everybody know.

        Args:
            utterance: Of which utterance.
            skipped: The text, and why.
            now: Pipeline clock, in seconds.
        """
        failure, text, voice = skipped.failure, skipped.text, self._voice
        self._ledger.add(LedgerEntry(now, "skipped", utterance.context_id, text, failure.reason))
        for announced in skipped.frames:
            for frame in self._sequencer.abandon(utterance.context_id, announced):
                await voice.append_to_audio_context(utterance.context_id, frame)
        await voice.broadcast_frame(SpeechSkippedFrame, text=text)
        # What cannot work is reported once, not for every segment that was under way.
        if voice.is_usable:
            error = failure.cause if isinstance(failure.cause, SynthesisError) else None
            category = error.category if error else ErrorCategory.CONNECTIVITY
            await voice.push_error(f'{failure.reason} Not spoken: "{_shortened(text)}".', category=category)

    def cut(self, context_id: str, text: str, now: float) -> None:
        """Account for text that an interruption keeps from being heard.

        Args:
            context_id: Its audio context; empty if it was not given to synthesis.
            text: The text.
            now: Pipeline clock, in seconds.
        """
        self._ledger.add(LedgerEntry(now, "cut", context_id, text, "interrupted"))

    async def discarded(self, characters: int) -> None:
        """Report characters that were synthesized for nothing.

        Args:
            characters: How many; none are not worth a frame.
        """
        if characters:
            data = TTSDiscardedMetricsData(processor=self._voice.name, value=characters)
            await self._voice.push_frame(MetricsFrame(data=[data]))


def _shortened(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _LONGEST_QUOTE else f"{plain[:_LONGEST_QUOTE].rstrip()} …"
