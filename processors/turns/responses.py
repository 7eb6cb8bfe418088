"""Whether the bot owes the user something that an interruption takes away: it thinks, speaks or runs a function."""

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSSpeakFrame,
)


class Responses:
    """Follows the bot's responses; one for both ends of a conversation, since neither sees all of one.

    The user's end knows what is asked and whether the bot is heard, the bot's end where a response begins and ends,
    silences and answers without a sound included.
    """

    def __init__(self) -> None:
        """Begin with a bot that waits for the user."""
        self._asked = False
        self._answering = False
        self._speaking = False
        self.calling = False
        """Whether a function runs whose result the model waits for."""

    @property
    def in_progress(self) -> bool:
        """Whether an interruption would cut something off."""
        return self._asked or self._answering or self._speaking or self.calling

    def asked(self) -> None:
        """The brain was asked; a response follows."""
        self._asked = True

    def interrupted(self) -> None:
        """What was going on has been cut off. A function tells by itself whether it was cancelled."""
        self._asked = self._answering = self._speaking = False

    def follow_user_end(self, frame: Frame) -> None:
        """Take note of a frame that passes the user's end.

        Args:
            frame: Any frame.
        """
        match frame:
            case TTSSpeakFrame():
                self._asked = True
            case BotStartedSpeakingFrame():
                self._asked, self._speaking = False, True
            case BotStoppedSpeakingFrame():
                self._speaking = False
            case InterruptionFrame():
                self.interrupted()

    def follow_bot_end(self, frame: Frame) -> None:
        """Take note of a frame that passes the bot's end, behind the loudspeaker.

        Args:
            frame: Any frame.
        """
        match frame:
            case LLMFullResponseStartFrame():
                self._asked, self._answering = False, True
            case LLMFullResponseEndFrame() | InterruptionFrame():
                self._answering = False
