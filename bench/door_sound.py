"""What is heard at a client's ear: where speech begins and ends, how many words it has, when it became quieter."""

import numpy as np

from bench.parties import LOUD, Sound
from halfcascade.bot.pipeline import AUDIO_OUT_RATE

# Longer than any pause within a reply, shorter than what lies between two.
GAP_SECS = 0.35
_WINDOW_SECS = 0.01
# Nobody has interrupted a reply so early.
_CLEAR_SECS = 1.0


def loud_times(sound: Sound) -> np.ndarray:
    """Times of the samples that are heard, by ``time.monotonic()``."""
    return sound.origin + np.flatnonzero(np.abs(sound.samples.astype(np.int32)) > LOUD) / sound.rate


def words_heard(sound: Sound, start: float, end: float) -> int:
    """Count the words of the emulator's voice: each is one burst, with a gap behind it."""
    samples = np.abs(sound.between(start, end).astype(np.int32))
    size = round(_WINDOW_SECS * sound.rate)
    loud = samples[: len(samples) // size * size].reshape(-1, size).max(axis=1, initial=0) > LOUD
    # The gap between two words is 50 ms; codecs smear its edges.
    bursts, quiet = 0, 9
    for window in loud:
        bursts += bool(window) and quiet >= 2
        quiet = 0 if window else quiet + 1
    return bursts


def _levels(samples: np.ndarray, rate: int) -> np.ndarray:
    size = round(_WINDOW_SECS * rate)
    whole = samples[: len(samples) // size * size].astype(np.float64).reshape(-1, size)
    return np.sqrt((whole**2).mean(axis=1))


def ducked_at(sound: Sound, onset: float, voice: bytes, after: float, end: float) -> float | None:
    """When the voice became quieter at the client than it came from the service, but not silent."""
    clean = np.frombuffer(voice, "<i2")
    loud = np.flatnonzero(np.abs(clean.astype(np.int32)) > LOUD)
    if not len(loud):
        return None
    said = _levels(clean[loud[0] :], AUDIO_OUT_RATE)
    heard = _levels(sound.between(onset, end), sound.rate)
    # A gap in the sound moves what follows: the second before the interruption tells by how much.
    last = round((after - onset) / _WINDOW_SECS)
    pattern = heard[max(0, last - round(_CLEAR_SECS / _WINDOW_SECS)) : last]
    start = last - len(pattern)
    moved = max(range(start + 1), key=lambda by: float(pattern @ said[start - by : last - by]))
    said = said[start - moved :][: len(heard) - start]
    heard = heard[start : start + len(said)]
    spoken = np.flatnonzero(said > 4 * LOUD)
    gains = heard[spoken] / said[spoken]
    usual = np.median(gains[spoken < len(pattern)]) if (spoken < len(pattern)).any() else 0.0
    if not usual:
        return None
    gains /= usual
    low = (gains > 0.1) & (gains < 0.6) & (spoken >= len(pattern))
    runs = np.flatnonzero(low[:-2] & low[1:-1] & low[2:])
    return onset + (start + int(spoken[runs[0]])) * _WINDOW_SECS if len(runs) else None


def starts_of(loud: np.ndarray) -> list[float]:
    """The first of the times before which it was silent."""
    return [float(at) for before, at in zip([-1e9, *loud], loud, strict=False) if at - before > GAP_SECS]


def silent_at(sound: Sound, after: float) -> float:
    """When the last sound was heard, from a moment on, before a silence."""
    loud = loud_times(sound)
    loud = loud[loud > after - GAP_SECS]
    gaps = np.flatnonzero(np.diff(loud) > GAP_SECS)
    return float(loud[gaps[0]] if len(gaps) else loud[-1]) if len(loud) else after
