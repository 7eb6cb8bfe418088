"""What a reply becomes before it is spoken: cut into segments while it comes, and told what of them is said."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    ControlFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSSpeakFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.utils.text.base_text_aggregator import Aggregation
from pipecat.utils.text.transforms.text_transform import TextTransform
from pipecat.utils.time import nanoseconds_to_seconds

from halfcascade.processors.chirp_tts.pace import CutClock
from halfcascade.processors.chirp_tts.pending import PendingText
from halfcascade.processors.chirp_tts.reply import GOES_ON, WORDS, ReplyAccount
from halfcascade.processors.chirp_tts.segmenter import FirstSegment, Place
from halfcascade.processors.chirp_tts.speaker import Speaker
from halfcascade.processors.chirp_tts.text import Clause, SpeechTextAggregator


@dataclass
class _CutDueFrame(ControlFrame):
    """Sent by the service to itself: text that is pending must be spoken now.

    Parameters:
        place: Where a cut will do.
    """

    place: Place = Place.ANY


class ReplyCutter(Speaker):
    """Gives each segment to the voice as soon as it is good enough to be spoken.

    What is only shown is pushed on in its place, and a reply that holds nothing to say is answered by a short phrase.
    """

    def __init__(
        self,
        *,
        first_segment: FirstSegment | None,
        text_transforms: Sequence[tuple[str, TextTransform]] | None,
        **kwargs: Any,
    ):
        """Begin without text.

        Args:
            first_segment: When the first segment of a reply is good enough to be spoken.
            text_transforms: Rewriting of text before synthesis, after what makes it speakable.
            **kwargs: Arguments of ``Speaker``.
        """
        super().__init__(
            push_text_frames=False,
            push_start_frame=True,
            text_transforms=[("*", self._to_words), *(text_transforms or [])],
            **kwargs,
        )
        first_segment = first_segment or FirstSegment()
        self._cutter = SpeechTextAggregator(self._settings.locale, first_segment)
        self._cut_clock = CutClock(self._cutter.segmenter, first_segment)
        self._pending = PendingText(
            self._cutter.segmenter,
            self._cut_clock,
            now=self.now,
            dry_at=self._dry_at,
            cut=self._ask_for_cut,
            create_task=self.create_task,
        )
        self._text_aggregator = self._cutter  # type: ignore[assignment]  # Pipecat annotates its default
        self._reply = ReplyAccount()
        self._phrase = False
        self._words = ""

    def now(self) -> float:
        """Pipeline clock, in seconds."""
        return nanoseconds_to_seconds(self.get_clock().get_time())

    @abstractmethod
    def _dry_at(self) -> float | None:
        """Clock time at which the next segment must go to synthesis, or None while nothing is said."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame.

        Args:
            frame: The frame.
            direction: Where it travels.
        """
        if isinstance(frame, _CutDueFrame):
            await self._cut_pending_text(frame.place)
            return
        self._phrase = isinstance(frame, TTSSpeakFrame)
        if isinstance(frame, LLMFullResponseEndFrame | EndFrame):
            await self._finish_reply()
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame | LLMFullResponseStartFrame):
            self._cut_clock.reset()
            self._reply = ReplyAccount()
        if isinstance(frame, LLMTextFrame):
            self._pending.changed()
            self._pending.watch()

    def _aggregated_text_frame(self, aggregation: Aggregation) -> AggregatedTextFrame:
        frame = super()._aggregated_text_frame(aggregation)
        frame.metadata[GOES_ON] = isinstance(aggregation, Clause)
        return frame

    async def _handle_aggregated_text(self, src_frame: AggregatedTextFrame, context_id: str | None = None) -> None:
        if self._reply.take(src_frame, self._settings.locale, phrase=self._phrase):
            await self._say_or_show(src_frame, context_id)

    async def _say_or_show(self, frame: AggregatedTextFrame, context_id: str | None = None) -> None:
        """Give a text to the voice, or push it on in order if nothing is said of it."""
        self._words = frame.metadata[WORDS]
        if self._words:
            await super()._handle_aggregated_text(frame, context_id)
        else:
            await self._push_skipped_text(frame, context_id or self.create_context_id())

    async def _to_words(self, text: str, text_type: str) -> str:
        """The text transform of Pipecat: what is said was found before, with all that belongs to it."""
        return self._words

    async def _finish_reply(self) -> None:
        """Say what is pending; a reply that holds nothing to say is answered by a short phrase all the same."""
        for segment in self._cutter.finish():
            await self._handle_aggregated_text(self._aggregated_text_frame(segment))
        if (rest := self._reply.rest(self._settings.locale)) is not None:
            await self._say_or_show(rest)

    async def _ask_for_cut(self, place: Place) -> None:
        # Through the service's own queue, so that it cannot overtake or be overtaken by text.
        await self.queue_frame(_CutDueFrame(place=place))

    async def _cut_pending_text(self, place: Place) -> None:
        if (segment := self._cutter.force(place)) is not None:
            await self.stop_text_aggregation_metrics()
            await self._handle_aggregated_text(self._aggregated_text_frame(segment))
            self._pending.changed()
