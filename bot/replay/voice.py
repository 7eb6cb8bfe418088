"""A voice that says again what was said in a saved talk: the same sound, after the same time."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from halfcascade.bot.replay.memory import google_error, until
from halfcascade.bot.replay.tape import VOICE_RATE, Line, Samples

Guess = Callable[[str, str], None]

_OURS = ("CancelledError", "GeneratorExit")
_CHUNK = VOICE_RATE // 10


@dataclass
class SpokenText:
    """A call of the recording.

    Parameters:
        text: What was to be said.
        chunks: Seconds after it was sent, and samples.
        sound: All of its sound.
        end_secs: When the call was over.
        error: What it ended with: name and message.
        more: What else was to be said in the same call, whose sound is among the rest.
        used: Whether it has been given again.
    """

    text: str
    chunks: list[tuple[float, int]]
    sound: Samples
    end_secs: float
    error: tuple[str, str] | None
    more: tuple[str, ...] = ()
    used: bool = False

    @property
    def cut(self) -> bool:
        """Whether our side ended it."""
        return self.error is not None and self.error[0] in _OURS


@dataclass(frozen=True)
class VoiceTiming:
    """How a voice speaks.

    Parameters:
        first_secs: From the text to the first sound.
        pace: How many times faster than speech the rest comes.
        character_secs: Speech for a character.
    """

    first_secs: float = 0.25
    pace: float = 4.0
    character_secs: float = 0.065


async def speak_text(text: str, sound: Samples, timing: VoiceTiming, done: int = 0) -> AsyncIterator[bytes]:
    """Speak a text by a model of how long it takes.

    Args:
        text: What to say.
        sound: Speech to take the sound from.
        timing: How long it takes.
        done: Samples of it that have been given already.

    Yields:
        16-bit mono PCM.
    """
    began = time.monotonic()
    total = round(len(text) * timing.character_secs * VOICE_RATE)
    whole = np.resize(sound if len(sound) else np.zeros(1, np.int16), total)
    for at in range(done, total, _CHUNK):
        await until(began + (0.0 if done else timing.first_secs) + (at - done) / VOICE_RATE / timing.pace)
        yield whole[at : at + _CHUNK].astype("<i2").tobytes()


class VoicePlayer:
    """Says texts as those of the recording were said.

    Args:
        calls: The recording's calls.
        guess: Told what was asked and how it was answered where the recording has no answer.
    """

    def __init__(self, calls: Sequence[SpokenText], guess: Guess):
        self._calls = calls
        self._guess = guess
        # What the sound of an earlier text says too.
        self._said_along: list[str] = []
        spoken = [call for call in calls if call.chunks and not call.cut]
        self._sound = max((call.sound for call in spoken), key=len, default=np.zeros(0, np.int16))
        self.timing = _timing(spoken)

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        """Say a text.

        Args:
            text: The text.

        Yields:
            16-bit mono PCM.

        Raises:
            GoogleAPICallError: Where the recording has one.
        """
        if text in self._said_along:
            self._said_along.remove(text)
            return
        same = [call for call in self._calls if call.text == text]
        call = next((call for call in same if not call.used), same[-1] if same else None)
        if call is None:
            self._guess("voice", f"{text!r}: by the pace of the others")
            async for pcm in speak_text(text, self._sound, self.timing):
                yield pcm
            return
        call.used = True
        self._said_along = list(call.more)
        async for pcm in self._as_recorded(call):
            yield pcm

    async def _as_recorded(self, call: SpokenText) -> AsyncIterator[bytes]:
        began, place = time.monotonic(), 0
        for secs, samples in call.chunks:
            await until(began + secs)
            yield call.sound[place : place + samples].astype("<i2").tobytes()
            place += samples
        if call.cut:
            # It was cut off then; whoever listens longer today hears how it may have gone on.
            if not place:
                await asyncio.sleep(self.timing.first_secs)
            async for pcm in speak_text(call.text, self._sound, self.timing, place):
                yield pcm
            return
        await until(began + call.end_secs)
        if call.error:
            raise google_error(*call.error)


def spoken_text(line: Line, sound: Samples) -> SpokenText:
    """Read a call.

    Args:
        line: As it was written (see ``tape``).
        sound: Its sound.
    """
    end = line.get("end", {})
    error = end.get("error")
    return SpokenText(
        str(line.get("text", "")),
        [(float(secs), int(samples)) for secs, samples in line.get("chunks", [])],
        sound,
        float(end.get("secs", 0.0)),
        (str(error.get("type")), str(error.get("message"))) if error else None,
        tuple(str(text) for text in line.get("more", [])),
    )


def _timing(calls: Sequence[SpokenText]) -> VoiceTiming:
    if not calls:
        return VoiceTiming()
    usual = VoiceTiming()
    samples, characters = (
        sum(len(call.sound) for call in calls),
        sum(len("".join((call.text, *call.more))) for call in calls),
    )
    paces = [
        len(call.sound) / VOICE_RATE / (call.chunks[-1][0] - call.chunks[0][0])
        for call in calls
        if call.chunks[-1][0] > call.chunks[0][0]
    ]
    return VoiceTiming(
        first_secs=statistics.median(call.chunks[0][0] for call in calls),
        pace=max(1.0, statistics.median(paces)) if paces else usual.pace,
        character_secs=samples / VOICE_RATE / max(1, characters),
    )
