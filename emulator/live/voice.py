"""How the model sounds in a Live session."""

from typing import ClassVar, Protocol

from halfcascade.emulator.live.usage import speech_seconds
from halfcascade.emulator.minds.base import SPEAKER_RATE
from halfcascade.emulator.minds.scripted_voice import split_words, word_sound


class Voice(Protocol):
    """Makes the audio of a piece of a reply, as long as the profile says that it takes."""

    remote: ClassVar[bool]
    """Whether a speaker makes the audio in its own time: then ``say`` is not asked, ``Speak`` actions are."""

    def say(self, text: str, voice: str, chars_per_second: float) -> bytes:
        """Give 16-bit mono PCM at ``SPEAKER_RATE``.

        Args:
            text: The piece.
            voice: Name of the prebuilt voice, or "".
            chars_per_second: Characters that one second says.
        """


class Silence:
    """Says nothing, for as long as saying it would take."""

    remote: ClassVar[bool] = False

    def say(self, text: str, voice: str, chars_per_second: float) -> bytes:
        """See ``Voice``."""
        return bytes(2 * _samples(text, chars_per_second))


class ScriptedVoice:
    """Says every word as a burst of its own."""

    remote: ClassVar[bool] = False

    def say(self, text: str, voice: str, chars_per_second: float) -> bytes:
        """See ``Voice``."""
        return b"".join(word_sound(word, _samples(word, chars_per_second), voice) for word in split_words(text))


class RemoteVoice:
    """A speaker of the mind says it."""

    remote: ClassVar[bool] = True

    def say(self, text: str, voice: str, chars_per_second: float) -> bytes:
        """Is not asked."""
        raise NotImplementedError


def _samples(text: str, chars_per_second: float) -> int:
    return round(speech_seconds(text, chars_per_second) * SPEAKER_RATE)
