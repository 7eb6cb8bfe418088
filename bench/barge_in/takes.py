"""Clips as rooms, microphones, voices and noises around them would make them; noises that are no speech at all."""

from collections.abc import Callable

import numpy as np

from halfcascade.processors.turns.barge_in_sound import RATE, find_start

START = RATE // 2
"""Where speech begins in a clip, in samples."""
CLIP = 2 * RATE
"""Length of a clip in samples."""
TAKE = round(0.7 * RATE)
"""Length of a take in samples: the longest beginning of speech that is judged."""

_KEPT = START + round(0.8 * RATE)
_ROOMS, _ROOM_SECS, _ROOM_DB = 300, 0.4, (-25, 6)
# How much earlier than its first sound, in seconds, speech may be taken to begin: noise and breath go before it.
_EARLY_SECS = 0.05


def room_responses(rng: np.random.Generator) -> list[np.ndarray]:
    """Make impulse responses of rooms, heard from near a mouth to across the room.

    Reverberation of 0.1 to 0.9 s, shorter for high tones, 25 dB below to 6 dB above the direct sound; walls nearby
    throw single echoes first.
    """
    responses = []
    seconds = np.arange(round(_ROOM_SECS * RATE)) / RATE
    for _ in range(_ROOMS):
        tail = rng.standard_normal(len(seconds)) * np.exp(-6.9 * seconds / rng.uniform(0.1, 0.9))
        dull = _dull(tail, rng.uniform(1000, 5000))
        share = np.clip(seconds / rng.uniform(0.05, 0.4), 0, 1)
        tail = (1 - share) * tail + share * dull
        first = round(rng.uniform(0.001, 0.012) * RATE)
        tail[:first] = 0.0
        for _ in range(rng.integers(0, 8)):
            tail[first + int(rng.exponential(0.012) * RATE) % len(tail[first:])] += rng.normal(0, 3)
        tail *= 10 ** (rng.uniform(*_ROOM_DB) / 20) / np.sqrt((tail**2).sum())
        tail[0] = 1.0
        responses.append(tail.astype(np.float32))
    return responses


class Takes:
    """Makes takes of clips.

    Args:
        clips: int16 samples at ``RATE``, one clip of ``CLIP`` samples a row: what is heard faintly behind others.
        rng: What is left to chance.
    """

    def __init__(self, clips: np.ndarray, rng: np.random.Generator):
        self._clips, self._rng = clips, rng
        self._rooms = room_responses(rng)

    def varied(self, clip: np.ndarray) -> np.ndarray:
        """Another pace, pitch, room, microphone, noise and distance of a clip.

        Returns:
            ``TAKE`` samples as int16 from where speech is found to begin.
        """
        rng = self._rng
        speed = rng.uniform(0.85, 1.2)
        samples = _faster(clip.astype(np.float32), speed)[:_KEPT]
        if rng.random() < 0.6:
            samples = _convolved(samples, self._rooms[rng.integers(_ROOMS)])
        if rng.random() < 0.6:
            samples = _equalized(samples, rng.uniform(-8, 8, 6))
        if rng.random() < 0.15:
            edge = rng.uniform(3400, 6500)
            samples = _filtered(samples, lambda hz: np.where(hz > edge, 0.03, 1.0))
        samples = samples / (np.abs(samples).max() + 1e-6)
        noise = rng.standard_normal(len(samples))
        if rng.random() < 0.5:
            tilt = rng.uniform(0.2, 0.6)
            noise = _filtered(noise, lambda hz: (hz + 40.0) ** -tilt)
        samples = samples + noise / noise.std() * 10 ** (rng.uniform(-72, -28) / 20)
        if rng.random() < 0.35:  # Somebody far away, or what echo cancelling left of the bot.
            other = np.roll(self._clips[rng.integers(len(self._clips))], rng.integers(-9000, 4000)).astype(np.float32)
            other = other[: len(samples)] / (np.abs(other).max() + 1e-6)
            samples[: len(other)] += other * 10 ** (rng.uniform(-40, -12) / 20)
        error = rng.normal(0, 120)
        if rng.random() < 0.4:
            error -= rng.uniform(0, _EARLY_SECS) * RATE
        return self._beginning(samples, round(START / speed), round(error))

    def plain(self, clip: np.ndarray) -> np.ndarray:
        """A clip in a quiet room, as ``varied`` returns it."""
        samples = clip[:_KEPT] / (np.abs(clip).max() + 1e-6)
        samples = samples + self._rng.standard_normal(len(samples)) * 10 ** (self._rng.uniform(-72, -45) / 20)
        return self._beginning(samples, START, 0)

    def noise(self) -> np.ndarray:
        """A varied take of a sound that is no speech: a cough, a knock, a rustle, a breath, a hum, laughter."""
        rng = self._rng
        make = (_cough, _knock, _rustle, _breath, _hum, _laughter)[rng.integers(6)]
        sound = make(rng, np.arange(round(rng.uniform(0.08, 0.9) * RATE)) / RATE)
        clip = np.zeros(CLIP, np.float32)
        clip[START : START + len(sound)] = sound / (np.abs(sound).max() + 1e-9) * 16_000
        return self.varied(clip)

    def _beginning(self, samples: np.ndarray, start: int, error: int) -> np.ndarray:
        noticed = start + round(self._rng.uniform(0.04, 0.2) * RATE)
        first = max(0, find_start(samples * 32768, noticed) + error)
        taken = samples[first : first + TAKE]
        taken = taken / max(1e-6, np.abs(taken).max()) * 30_000
        return np.pad(taken, (0, TAKE - len(taken))).astype(np.int16)


def _faster(samples: np.ndarray, speed: float) -> np.ndarray:
    at = np.arange(0, len(samples) - 1, speed)
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32)


def _filtered(samples: np.ndarray, gain: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    spectrum = np.fft.rfft(samples)
    return np.fft.irfft(spectrum * gain(np.fft.rfftfreq(len(samples), 1 / RATE)), len(samples))


def _dull(samples: np.ndarray, edge: float) -> np.ndarray:
    return _filtered(samples, lambda hz: 1 / (1 + (hz / edge) ** 2))


def _convolved(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    count = len(samples) + len(response)
    spectrum = np.fft.rfft(samples, count) * np.fft.rfft(response, count)
    return np.fft.irfft(spectrum, count)[: len(samples)]


def _equalized(samples: np.ndarray, gains_db: np.ndarray) -> np.ndarray:
    octaves = np.linspace(np.log(50), np.log(8050), len(gains_db))
    return _filtered(samples, lambda hz: 10 ** (np.interp(np.log(hz + 50), octaves, gains_db) / 20))


def _tilted(rng: np.random.Generator, count: int, tilt: float) -> np.ndarray:
    return _filtered(rng.standard_normal(count), lambda hz: (hz + 30.0) ** tilt)


def _cough(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    envelope = np.exp(-t / rng.uniform(0.05, 0.15)) * (1 - np.exp(-t / 0.004))
    later = round(rng.uniform(0.15, 0.35) * RATE)
    if rng.random() < 0.6 and later < len(t):
        envelope[later:] += envelope[: len(t) - later] * rng.uniform(0.5, 1.0)
    return _tilted(rng, len(t), rng.uniform(-1, 0)) * envelope


def _knock(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    tone = np.sin(2 * np.pi * rng.uniform(80, 1200) * t) + 0.3 * rng.standard_normal(len(t))
    knock = tone * np.exp(-t / rng.uniform(0.005, 0.04))
    later = round(rng.uniform(0.1, 0.4) * RATE)
    if rng.random() < 0.6 and later < len(t):
        knock[later:] += knock[: len(t) - later] * rng.uniform(0.5, 1.0)
    return knock


def _rustle(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    return _tilted(rng, len(t), rng.uniform(-0.3, 0.5)) * np.repeat(rng.random(len(t) // 400 + 1) ** 4, 400)[: len(t)]


def _breath(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    return _tilted(rng, len(t), rng.uniform(-0.8, 0)) * np.abs(np.sin(np.pi * t / t[-1])) ** 0.7


def _hum(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    pitch = rng.uniform(80, 260) * (1 + rng.uniform(-0.3, 0.4) * t / t[-1])
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tone = sum(np.sin(n * phase) / n ** rng.uniform(1.5, 2.5) for n in range(1, 12))
    return (tone + 0.02 * rng.standard_normal(len(t))) * np.minimum(1, np.minimum(t / 0.03, (t[-1] - t) / 0.05))


def _laughter(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    pitch = rng.uniform(120, 320)
    tone = sum(np.sin(2 * np.pi * pitch * n * t) / n for n in range(1, 20))
    voiced = 0.5 * tone + 0.5 * rng.standard_normal(len(t))
    bursts = np.sin(2 * np.pi * rng.uniform(4, 6) * t) > 0
    return _filtered(voiced * bursts, lambda hz: (hz + 30.0) ** -0.3)
