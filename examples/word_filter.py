"""Replace words in the reply before they are spoken.

    python -m bot talk --processor examples.word_filter:create

The reply arrives in pieces that may end inside a word, so text is held back until the word is whole.
"""

import re
from collections.abc import Mapping

from pipecat.frames.frames import Frame, InterruptionFrame, LLMFullResponseEndFrame, LLMTextFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor


class WordFilter(FrameProcessor):
    """Replaces whole words of the reply, whatever their case."""

    def __init__(self, replacements: Mapping[str, str]):
        """Initialize the filter.

        Args:
            replacements: What to say instead of each word (lower case).
        """
        super().__init__()
        self._replacements = dict(replacements)
        self._words = re.compile(r"\b(" + "|".join(map(re.escape, replacements)) + r")\b", re.IGNORECASE)
        self._held = ""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Replace words in text frames; pass everything else on.

        Args:
            frame: The frame.
            direction: Where it travels.
        """
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            await self._take(frame)
            return
        if isinstance(frame, LLMFullResponseEndFrame) and self._held:
            await self.push_frame(LLMTextFrame(self._replace(self._held)))
            self._held = ""
        elif isinstance(frame, InterruptionFrame):
            self._held = ""
        await self.push_frame(frame, direction)

    async def _take(self, frame: LLMTextFrame) -> None:
        text = self._held + frame.text
        # The last word may go on in the next piece.
        split = re.search(r"\w*$", text)
        cut = split.start() if split else len(text)
        self._held = text[cut:]
        if cut:
            frame.text = self._replace(text[:cut])
            await self.push_frame(frame)

    def _replace(self, text: str) -> str:
        return self._words.sub(lambda match: self._replacements[match.group().lower()], text)


def create() -> WordFilter:
    """Make a mild-mannered filter."""
    return WordFilter({"darn": "dear", "heck": "goodness"})
