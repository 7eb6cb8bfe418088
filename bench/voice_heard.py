"""Follows recorded speech as if it streamed in, and compares the words reported as heard with the truth."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from halfcascade.processors.chirp_tts.audio import SpeechTrimmer
from halfcascade.processors.chirp_tts.heard.text import SpeechRate, WordTimeEstimator
from halfcascade.processors.language import spoken_words

RATE = 24_000
_STEP_SECS = 0.01


@dataclass(frozen=True)
class Recording:
    """Speech whose word times are known.

    Parameters:
        audio: 16-bit samples at ``RATE``.
        onsets: When each word begins, in seconds.
        text: What is said.
        language: Locale.
        source: Who says it.
    """

    audio: np.ndarray
    onsets: list[float]
    text: str
    language: str
    source: str


@dataclass(frozen=True)
class Followed:
    """A recording, followed.

    Parameters:
        reported: When each word was reported as heard, in seconds of playback.
        true: When each word was really heard.
        duration: Of the audio, in seconds.
    """

    reported: list[float]
    true: list[float]
    duration: float

    def deviation(self, cut: float) -> int:
        """Words too many (or too few, negative) in the heard text after a cut at this second."""
        return sum(at <= cut for at in self.reported) - sum(at <= cut for at in self.true)


def load_recordings(folder: Path) -> list[Recording]:
    """Load what ``bench.voice_truth`` wrote."""
    found = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as data:
            names = (str(data[name]) for name in ("text", "language", "source"))
            found.append(Recording(data["audio"], data["onsets"].tolist(), *names))
    return found


def follow(recording: Recording, rate: SpeechRate, *, speed: float = 4.0, chunk_secs: float = 0.24) -> Followed:
    """Stream a recording into the estimator while it is played, and report each word when it is due.

    Args:
        recording: The speech.
        rate: How fast the voice is, as known so far.
        speed: How many times faster than real time the audio comes.
        chunk_secs: Length of the chunks in which it comes.

    Returns:
        What was reported, and the truth.
    """
    words = spoken_words(recording.text, recording.language)
    estimator = WordTimeEstimator(words, rate, RATE)
    trimmer = SpeechTrimmer(RATE)
    chunk = int(chunk_secs * RATE)
    chunks = [recording.audio[i : i + chunk].tobytes() for i in range(0, len(recording.audio), chunk)]
    kept = SpeechTrimmer(RATE).feed(recording.audio.tobytes())
    trimmed = recording.audio.tobytes().find(kept[:4800]) // 2 / RATE
    duration = len(kept) / 2 / RATE
    reported: list[float] = []
    now, fed = 0.0, 0
    while now < duration + _STEP_SECS:
        while fed < len(chunks) and fed <= now * speed / chunk_secs:
            estimator.feed(trimmer.feed(chunks[fed]))
            fed += 1
            if fed == len(chunks):
                estimator.finish()
        onsets = estimator.onsets()
        while len(reported) < len(words) and onsets[len(reported)] <= min(now, estimator.duration):
            reported.append(now)
        now += _STEP_SECS
    reported += [now] * (len(words) - len(reported))
    return Followed(reported, [max(0.0, onset - trimmed) for onset in recording.onsets], duration)


def cut_deviations(recordings: list[Recording], cuts: int, seed: int = 1) -> list[int]:
    """Cut recordings at random moments.

    Args:
        recordings: Of one voice; its speed is learned from one to the next, as in a conversation.
        cuts: How many cuts, spread over the recordings.
        seed: Of the random moments.

    Returns:
        For each cut, words too many or too few in the heard text.
    """
    chance = random.Random(seed)
    rate = SpeechRate()
    followed = [follow(recording, rate) for recording in recordings]
    chosen = [followed[number % len(followed)] for number in range(cuts)]
    return [one.deviation(chance.uniform(0, one.duration)) for one in chosen]
