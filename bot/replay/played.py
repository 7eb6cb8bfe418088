"""The three services of a saved talk: what they answered then, to whoever asks the same now."""

from collections.abc import Callable
from dataclasses import dataclass

from google import genai
from google.genai import types

from halfcascade.bot.replay.brain import BrainPlayer
from halfcascade.bot.replay.ears import EarsPlayer
from halfcascade.bot.replay.hearing import UserAudio
from halfcascade.bot.replay.memory import MemoryLive, MemoryServices
from halfcascade.bot.replay.tape import Tape
from halfcascade.bot.replay.voice import VoicePlayer, spoken_text


@dataclass(frozen=True)
class Guessed:
    """Something that was asked and the recording has no answer to.

    Parameters:
        service: ``ears``, ``brain`` or ``voice``.
        line: What it was, and how it was answered.
    """

    service: str
    line: str


class PlayedServices(MemoryServices):
    """The services of a saved talk (see ``Services``).

    Parameters:
        guesses: What was asked that the recording does not hold.

    Args:
        tape: The recording.
        on_guess: Told of each guess as it is made.
    """

    def __init__(self, tape: Tape, on_guess: Callable[[Guessed], None] = lambda guessed: None):
        self.guesses: list[Guessed] = []
        self._on_guess = on_guess
        self._user = UserAudio()
        ears = EarsPlayer(tape.lines("ears"), self._user, self._guess)
        self._brain = BrainPlayer(tape.lines("brain"), self._guess)
        calls = [spoken_text(line, tape.sound(line)) for line in tape.lines("voice")]
        super().__init__(ears.recognize, VoicePlayer(calls, self._guess).speak)

    def heard(self, audio: bytes) -> None:
        """Take what the ears are about to be given.

        Args:
            audio: 16-bit mono PCM.
        """
        self._user.append(audio)

    async def open_live(self, client: genai.Client, model: str, config: types.LiveConnectConfig) -> MemoryLive:
        """Open the next Live connection of the recording.

        Args:
            client: Ignored.
            model: Ignored.
            config: Ignored.
        """
        return await self._brain.open_live()

    def _guess(self, service: str, line: str) -> None:
        guessed = Guessed(service, line)
        self.guesses.append(guessed)
        self._on_guess(guessed)
