"""Keeps text that was never spoken from being taken for spoken."""

from typing import Any

from pipecat.frames.frames import AggregatedTextFrame, Frame
from pipecat.utils.context.aggregated_frame_sequencer import AggregatedFrameSequencer
from pipecat.utils.context.word_completion_tracker import WordCompletionTracker

from halfcascade.processors.chirp_tts.reply import SHOWN_KINDS, SILENT


class _StandInTracker(WordCompletionTracker):
    """Follows a phrase that is said in place of something: the context gets that, whole, when the phrase is over."""

    def get_llm_consumed(self) -> str | None:
        """The text the phrase stands for, once it has been heard."""
        return self._llm_text if self.is_complete else None

    def suppress_in_context(self) -> bool:
        """Whether the phrase is not over yet."""
        return not self.is_complete


class SpokenSequencer(AggregatedFrameSequencer):
    """Pipecat's sequencer, which can also be told that a segment will never be spoken.

    Attributes:
        latest: What announced the segment registered last.
    """

    latest: AggregatedTextFrame | None = None

    async def register_spoken(
        self, frame: AggregatedTextFrame, context_id: str, tts_text: str, *args: Any, **kwargs: Any
    ) -> list[Frame]:
        """Register a segment and remember it as the latest."""
        self.latest = frame
        registered = await super().register_spoken(frame, context_id, tts_text, *args, **kwargs)
        if str(frame.text_type) in (*SHOWN_KINDS, SILENT) and self._slots[-1].frame is frame:
            self._slots[-1].tracker = _StandInTracker(tts_text, frame.text, frame.text)
        return registered

    def abandon(self, context_id: str, frame: AggregatedTextFrame | None = None) -> list[Frame]:
        """Close segments without their unheard words being taken for spoken.

        Args:
            context_id: Audio context of the segments.
            frame: What announced the one segment, or None for all.

        Returns:
            Frames that waited for them.
        """
        for slot in self._slots:
            if slot.spoken and slot.context_id == context_id and frame in (None, slot.frame):
                slot.complete = True
        return self.flush()
