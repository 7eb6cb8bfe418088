"""What the bot is saying, for those who judge what the user says over it or after it."""

import re

from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

_SENTENCE = re.compile(r"[^.!?。？！؟]*[.!?。？！؟]+[\"'”’)\]]*|[^.!?。？！؟]+$")
_ASKS = re.compile(r"[?？؟][\"'”’)\]]*$")
_NOT_SPOKEN = re.compile(r"[\W_]+")
# How much of a question may still be unsaid when somebody answers it: people answer before its last word is over.
_UNSAID_LETTERS = 12
_LONGEST_SENTENCE_WORDS = 30


class BotSpeech:
    """Follows the bot's words: those it is going to say, and how far they have been heard. No I/O."""

    def __init__(self) -> None:
        """Start with a silent bot."""
        self._written = ""
        self._heard_letters = 0

    def begin(self) -> None:
        """A new reply begins; what is left of the one before is still to be heard."""
        if self._heard_letters >= len(_NOT_SPOKEN.sub("", self._written)):
            self._written, self._heard_letters = "", 0
        else:
            self._written += " "

    def wrote(self, text: str) -> None:
        """Take more of the reply's text.

        Args:
            text: As it is handed to the voice.
        """
        self._written += text

    def heard(self, text: str) -> None:
        """Take words that have become audible.

        Args:
            text: The words.
        """
        self._heard_letters += len(_NOT_SPOKEN.sub("", text))

    def interrupted(self) -> None:
        """The bot falls silent: what it has not said it will not say."""
        self._written = self._heard_part()

    @property
    def asks(self) -> bool:
        """Whether the bot has just asked something, or is about to have: what is said now may be the answer."""
        end = 0
        for match in _SENTENCE.finditer(self._written):
            end += len(_NOT_SPOKEN.sub("", match.group()))
            if self._heard_letters < end:
                return bool(_ASKS.search(match.group())) and end - self._heard_letters <= _UNSAID_LETTERS
        return bool(self._written) and self.last_sentence.endswith(("?", "？", "؟"))

    @property
    def last_sentence(self) -> str:
        """The newest sentence of which anything was heard; empty if there is none."""
        sentences = _SENTENCE.findall(self._heard_part().strip())
        last = sentences[-1].strip() if sentences else ""
        return " ".join(last.split()[-_LONGEST_SENTENCE_WORDS:])

    def _heard_part(self) -> str:
        count = 0
        for index, character in enumerate(self._written):
            if count >= self._heard_letters and not _NOT_SPOKEN.match(character):
                return self._written[:index]
            count += not _NOT_SPOKEN.match(character)
        return self._written


class BotSpeechTap(FrameProcessor):
    """Tells a ``BotSpeech`` what passes: one belongs before the voice, for the text, and one behind the output."""

    def __init__(self, speech: BotSpeech, *, audible: bool):
        """Name who is to be told.

        Args:
            speech: Follows the bot's words.
            audible: Whether what passes here is heard, behind the output; else it is about to be spoken.
        """
        super().__init__(enable_direct_mode=True)
        self._speech = speech
        self._audible = audible

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Tell, and pass the frame on.

        Args:
            frame: Any frame.
            direction: Where it goes.
        """
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            match frame:
                case InterruptionFrame():
                    self._speech.interrupted()
                case TTSTextFrame() if self._audible:
                    self._speech.heard(frame.text)
                case LLMFullResponseStartFrame() if not self._audible:
                    self._speech.begin()
                case TTSSpeakFrame() if not self._audible:
                    self._speech.begin()
                    self._speech.wrote(frame.text)
                case LLMTextFrame() if not self._audible:
                    self._speech.wrote(frame.text)
        await self.push_frame(frame, direction)
