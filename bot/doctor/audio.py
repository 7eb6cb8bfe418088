"""What the doctor learns by listening, and by playing a chirp when it may make noise."""

import asyncio
import threading
import time
from dataclasses import dataclass, field

import numpy as np

from halfcascade.transports.local.aec import EchoCanceller
from halfcascade.transports.local.device import DuplexDevice
from halfcascade.transports.resample import StreamResampler

_IN_RATE, _OUT_RATE = 16_000, 24_000
_QUIET_SECS = 1.0
_CHIRP_SECS, _PAUSE_SECS, _HUSH_SECS = 0.4, 0.2, 3.0
_TAIL_SECS = 0.5
_CHIRP_PEAK, _HUSH_PEAK = 6000, 10_000
_BUFFER_SECS = 0.05
# An echo stands out of a correlation by this factor over its median; noise reaches about half.
_CLEAR_PEAK = 12.0


@dataclass(frozen=True)
class AudioReading:
    """What the devices gave.

    Parameters:
        noise_dbfs: Level of the quiet room.
        dead: Whether the microphone gave nothing but zeros.
        heard: Whether the chirp came back through the microphone.
        round_trip_secs: From handing the chirp to the loudspeaker until the microphone gave it, if heard.
        echo_db: Level of the echo against what was played, if heard.
        erle_db: How much of the echo was cancelled at the end, if heard.
    """

    noise_dbfs: float
    dead: bool
    heard: bool = False
    round_trip_secs: float = 0.0
    echo_db: float = 0.0
    erle_db: float = 0.0


def chirp_and_hush(rate: int = _OUT_RATE) -> np.ndarray:
    """Make the test sound: a rising chirp, then noise with the spectrum and the rhythm of speech.

    The chirp is for the delay. For judging the canceller it takes something like speech: AEC3 does not adapt to pure
    tones.

    Args:
        rate: Samples per second.

    Returns:
        int16 samples.
    """
    at = np.arange(int(_CHIRP_SECS * rate)) / rate
    low, high = 200.0, 5000.0
    octaves = np.log(high / low)
    chirp = np.sin(2 * np.pi * low * _CHIRP_SECS / octaves * (np.exp(at / _CHIRP_SECS * octaves) - 1))
    chirp *= np.minimum(1, np.minimum(at, _CHIRP_SECS - at) / 0.02)
    count = int(_HUSH_SECS * rate)
    spectrum = np.fft.rfft(np.random.default_rng(7).standard_normal(count))
    frequency = np.fft.rfftfreq(count, 1 / rate)
    # Speech falls by some 6 dB an octave above 500 Hz, and has about four syllables a second.
    hush = np.fft.irfft(spectrum * (frequency > 100) / np.maximum(1, frequency / 500), count)
    hush *= 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(count) / rate)
    hush *= _HUSH_PEAK / np.abs(hush).max()
    return np.concatenate([chirp * _CHIRP_PEAK, np.zeros(int(_PAUSE_SECS * rate)), hush]).astype(np.int16)


@dataclass
class _Timeline:
    """Blocks of one direction with their times."""

    rate: int
    blocks: list[tuple[float, np.ndarray]] = field(default_factory=list)

    def put(self, samples: np.ndarray, at: float) -> None:
        self.blocks.append((at, samples))

    def span(self, start: float, stop: float) -> np.ndarray:
        """Samples between two times, silence where there are none."""
        result = np.zeros(round((stop - start) * self.rate))
        for at, samples in self.blocks:
            first = round((at - start) * self.rate)
            low, high = max(0, first), min(len(result), first + len(samples))
            if low < high:
                result[low:high] = samples[low - first : high - first]
        return result


class _Listener:
    """Plays what it is given and notes what comes back, echo cancelled and not."""

    def __init__(self) -> None:
        self.captured, self.cancelled, self.played = _Timeline(_IN_RATE), _Timeline(_IN_RATE), _Timeline(_OUT_RATE)
        self.latency = 0.0
        self._echo = EchoCanceller(_IN_RATE)
        self._resampler = StreamResampler(_OUT_RATE, _IN_RATE)
        self._queue = np.empty(0, np.int16)
        self._lock = threading.Lock()
        self.device = DuplexDevice(
            input_rate=_IN_RATE,
            output_rate=_OUT_RATE,
            buffer_secs=_BUFFER_SECS,
            on_captured=self._on_captured,
            source=self._source,
            on_rendered=self._on_rendered,
        )

    def play(self, samples: np.ndarray) -> None:
        with self._lock:
            self._queue = np.concatenate([self._queue, samples])

    def _source(self, count: int) -> np.ndarray:
        with self._lock:
            block, self._queue = self._queue[:count], self._queue[count:]
        return np.concatenate([block, np.zeros(count - len(block), np.int16)])

    def _on_rendered(self, samples: np.ndarray, heard_at: float) -> None:
        self.latency = heard_at - time.monotonic()
        self.played.put(samples, heard_at)
        resampler = self._resampler
        self._echo.reference(resampler.process(samples), heard_at - resampler.delay_secs)

    def _on_captured(self, samples: np.ndarray, at: float) -> None:
        self.captured.put(samples, at)
        pending = self._echo.pending_secs
        self.cancelled.put(self._echo.process(samples, at), at - pending)


async def listen(input_device: str | None, output_device: str | None, *, make_noise: bool) -> AudioReading:
    """Record a second of the room, then play a sound, if allowed, and look for it in the microphone.

    Args:
        input_device: Microphone, by name or part of it, or None for the default.
        output_device: Loudspeaker, likewise.
        make_noise: Whether to play.

    Returns:
        What was found.

    Raises:
        ConfigurationError: If a device does not open.
    """
    listener = _Listener()
    await asyncio.to_thread(listener.device.open, input_device, output_device)
    try:
        # Microphone and loudspeaker settle first.
        await asyncio.sleep(0.3)
        began = time.monotonic()
        await asyncio.sleep(_QUIET_SECS)
        room = listener.captured.span(began, began + _QUIET_SECS)
        if not make_noise or not room.any():
            return AudioReading(noise_dbfs=_dbfs(room), dead=not room.any())
        sound = chirp_and_hush()
        start = time.monotonic()
        listener.play(sound)
        length = len(sound) / _OUT_RATE + _TAIL_SECS
        await asyncio.sleep(length + 0.2)
    finally:
        await asyncio.to_thread(listener.device.close)
    return _judge(listener, room, start, start + length)


def _judge(listener: _Listener, room: np.ndarray, start: float, stop: float) -> AudioReading:
    played = listener.played.span(start, stop)
    captured = listener.captured.span(start, stop)
    reference = np.interp(np.arange(len(captured)) * _OUT_RATE / _IN_RATE, np.arange(len(played)), played)
    lag, clear = find_delay(reference, captured, max_lag=_IN_RATE // 2)
    noise = _dbfs(room)
    if not clear:
        return AudioReading(noise_dbfs=noise, dead=False)
    # By the later half the canceller has settled.
    late = (stop - _TAIL_SECS - _HUSH_SECS / 2, stop - _TAIL_SECS)
    echo, residue = listener.captured.span(*late), listener.cancelled.span(*late)
    return AudioReading(
        noise_dbfs=noise,
        dead=False,
        heard=True,
        round_trip_secs=max(0.0, lag / _IN_RATE + listener.latency),
        echo_db=_dbfs(echo) - _dbfs(listener.played.span(*late)),
        erle_db=_dbfs(echo) - _dbfs(residue),
    )


def find_delay(reference: np.ndarray, captured: np.ndarray, *, max_lag: int) -> tuple[int, bool]:
    """Find how much later one signal holds the other.

    Args:
        reference: What was played.
        captured: What came back, of the same rate and length.
        max_lag: Longest delay looked for, in samples.

    Returns:
        The delay in samples, and whether it stands out clearly enough to be an echo.
    """
    size = 1 << (2 * len(reference)).bit_length()
    spectrum = np.fft.rfft(captured, size) * np.conj(np.fft.rfft(reference, size))
    # Whitened, so that a loud tone of the room does not count for more than the sound's many.
    correlation = np.abs(np.fft.irfft(spectrum / (np.abs(spectrum) + 1e-9 * np.abs(spectrum).max() + 1e-12), size))
    near = np.concatenate([correlation[-max_lag // 4 :], correlation[:max_lag]])
    best = int(near.argmax())
    clear = bool(near[best] > _CLEAR_PEAK * np.median(near))
    return best - max_lag // 4, clear


def _dbfs(samples: np.ndarray) -> float:
    power = float(np.mean((samples / 32768) ** 2)) if len(samples) else 0.0
    return float(10 * np.log10(power + 1e-10))
