"""A speaker whose words can be told apart and timed exactly.

It says every word as a voiced burst, as long as its syllables, with short gaps between words and pauses at punctuation.
``ScriptedSpeaker.plan`` tells when each word is said: the truth against which estimates of heard text are measured.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import numpy as np

from halfcascade.emulator.minds.base import SPEAKER_RATE, SynthesisRequest
from halfcascade.emulator.minds.words import WordTiming, count_syllables
from halfcascade.emulator.profiles import SpeakerProfile, drawn

# Seconds at speaking rate 1: together about 3 English words, or 5 Korean syllables, per second.
_ONSET = 0.05
_SYLLABLE = 0.15
_GAP = 0.05
_COMMA_PAUSE = 0.22
_SENTENCE_PAUSE = 0.45
_SENTENCE_ENDS = ".!?。！？…"
_COMMAS = ",;:、，；："
_CLOSERS = "\"')]}»”’」』"

_LOUDNESS = 0.12  # RMS of a word, of full scale
_FADE = 0.006  # seconds
_HIGHEST = 4_000.0  # Hz


@dataclass(frozen=True)
class SpeechPlan:
    """When a text's words are said.

    Parameters:
        words: In order.
        duration: Seconds that the text takes, the pause after it included.
    """

    words: tuple[WordTiming, ...]
    duration: float


@dataclass
class ScriptedSpeaker:
    """Speaks deterministic bursts at a profile's pace.

    Parameters:
        profile: First audio, speed and chunk length.
        lead_silence: Seconds of silence before the first word of each input, as real voices have it.
    """

    profile: SpeakerProfile
    lead_silence: float = 0.0

    def synthesize(self, request: SynthesisRequest) -> "ScriptedSynthesis":
        """Begin a stream."""
        return ScriptedSynthesis(self, request)

    def plan(self, text: str, speaking_rate: float = 1.0) -> list[WordTiming]:
        """Tell when the words of one input are said.

        Args:
            text: The input.
            speaking_rate: 0.25 to 2.0.

        Returns:
            Word by word, in seconds since the input's first sample.
        """
        return list(self.schedule(text, speaking_rate).words)

    def schedule(self, text: str, speaking_rate: float = 1.0) -> SpeechPlan:
        """Plan one input; inputs of a stream follow each other without a gap beyond their plans.

        Args:
            text: The input.
            speaking_rate: 0.25 to 2.0.

        Returns:
            Its words and its duration; both zero when nothing in it is said.
        """
        words: list[WordTiming] = []
        position = self.lead_silence
        for token in text.split():
            if syllables := count_syllables(token):
                end = position + (_ONSET + syllables * _SYLLABLE) / speaking_rate
                words.append(WordTiming(token, _on_grid(position), _on_grid(end)))
                position = end + _pause_after(token) / speaking_rate
            elif words:
                position = max(position, words[-1].end + _pause_after(token) / speaking_rate)
        return SpeechPlan(tuple(words), _on_grid(position) if words else 0.0)

    def render(self, text: str, request: SynthesisRequest) -> Iterator[bytes]:
        """Make the audio of one input, word by word.

        Args:
            text: The input.
            request: Voice and rate.

        Yields:
            16-bit mono PCM at ``SPEAKER_RATE``; together exactly as long as the plan.
        """
        plan = self.schedule(text, request.speaking_rate)
        position = 0
        for number, word in enumerate(plan.words):
            start, end = round(word.start * SPEAKER_RATE), round(word.end * SPEAKER_RATE)
            yield bytes(2 * (start - position)) + _word_audio(word.word, number, request.voice, end - start)
            position = end
        yield bytes(2 * (round(plan.duration * SPEAKER_RATE) - position))


class ScriptedSynthesis:
    """One stream of a ``ScriptedSpeaker``.

    Parameters:
        speaker: Whose.
        request: Voice and rate.
    """

    def __init__(self, speaker: ScriptedSpeaker, request: SynthesisRequest) -> None:
        self._speaker = speaker
        self._request = request
        self._inputs: asyncio.Queue[tuple[float, str] | None] = asyncio.Queue()

    async def text(self, text: str) -> None:
        """Take one input."""
        self._inputs.put_nowait((asyncio.get_running_loop().time(), text))

    async def finish(self) -> None:
        """No more input comes."""
        self._inputs.put_nowait(None)

    async def audio(self) -> AsyncIterator[bytes]:
        """Yield audio in the profile's chunks, at its pace."""
        loop, profile, free = asyncio.get_running_loop(), self._speaker.profile, 0.0
        while (item := await self._inputs.get()) is not None:
            arrived, text = item
            due = max(free, arrived + drawn(profile.first_audio))
            for chunk in _rechunk(self._speaker.render(text, self._request), profile.chunk):
                await asyncio.sleep(max(0.0, due - loop.time()))
                yield chunk
                due += len(chunk) / 2 / SPEAKER_RATE / profile.speed if profile.speed else 0.0
                free = due

    async def close(self) -> None:
        """Give up."""
        self._inputs = asyncio.Queue()


def _rechunk(pieces: Iterator[bytes], seconds: float) -> Iterator[bytes]:
    size = max(1, round(seconds * SPEAKER_RATE)) * 2
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while len(buffer) >= size:
            yield bytes(buffer[:size])
            del buffer[:size]
    if buffer:
        yield bytes(buffer)


def _on_grid(seconds: float) -> float:
    """Round to whole samples, so that plan and audio agree exactly."""
    return round(seconds * SPEAKER_RATE) / SPEAKER_RATE


def _pause_after(token: str) -> float:
    last = token.rstrip(_CLOSERS)[-1:]
    if last and last in _SENTENCE_ENDS:
        return _SENTENCE_PAUSE
    return _COMMA_PAUSE if last and last in _COMMAS else _GAP


def _word_audio(word: str, number: int, voice: str, samples: int) -> bytes:
    """Make one word: harmonics under formants of its own, louder in the middle of each syllable.

    Pitch and formants come from the word, its place and the voice, so that no two words of a text sound alike.
    """
    rng = np.random.default_rng(zlib.crc32(f"{voice}|{number}|{word}".encode()))
    time = np.arange(samples) / SPEAKER_RATE
    base = 95.0 + zlib.crc32(voice.encode()) % 100
    pitch = base * rng.uniform(0.88, 1.12) * (1 + rng.uniform(-0.12, 0.12) * time / max(time[-1], _FADE))
    phase = 2 * np.pi * np.cumsum(pitch) / SPEAKER_RATE
    formants = rng.uniform((250, 900, 2_000), (850, 2_200, 3_400))
    audio = np.zeros(samples)
    for harmonic in range(1, int(_HIGHEST / pitch.max()) + 1):
        distance = (harmonic * base - formants) / (120, 180, 260)
        audio += (np.exp(-0.5 * distance**2) @ (1.0, 0.6, 0.35) + 0.03) * np.sin(harmonic * phase)
    syllables = count_syllables(word)
    audio *= 0.35 + 0.65 * np.sin(np.pi * syllables * time / (samples / SPEAKER_RATE)) ** 2
    # A breath of noise, as consonants have it.
    audio += 0.05 * np.abs(audio).max() * rng.standard_normal(samples)
    audio *= _LOUDNESS / np.sqrt(np.mean(audio**2))
    fade = min(round(_FADE * SPEAKER_RATE), samples // 2)
    ramp = np.linspace(0, 1, fade)
    audio[:fade] *= ramp
    audio[samples - fade :] *= ramp[::-1]
    return (np.clip(audio, -1, 1) * 32_767).astype("<i2").tobytes()
