"""Keeps text that was never spoken from being taken for spoken."""

from typing import Any

from pipecat.frames.frames import AggregatedTextFrame, Frame
from pipecat.utils.context.aggregated_frame_sequencer import AggregatedFrameSequencer


class SpokenSequencer(AggregatedFrameSequencer):
    """Pipecat's sequencer, which can also be told that a segment will never be spoken.

    Attributes:
        latest: What announced the segment registered last.
    """

    latest: AggregatedTextFrame | None = None

    async def register_spoken(self, frame: AggregatedTextFrame, *args: Any, **kwargs: Any) -> list[Frame]:
        """Register a segment and remember it as the latest."""
        self.latest = frame
        return await super().register_spoken(frame, *args, **kwargs)

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
