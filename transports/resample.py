"""Sample rate conversion that keeps pace with a device, block by block."""

from math import gcd

import numpy as np

_TAPS_PER_PHASE = 32
_KAISER_BETA = 8.0


class StreamResampler:
    """Converts a stream of 16-bit blocks with a constant delay of about a millisecond.

    A polyphase windowed-sinc filter. soxr's stream resampler, which Pipecat uses, gives its output in bursts of 20 to
    38 ms when fed in 10 ms blocks (measured, every quality but the unfiltered one): that is as much as the whole device
    buffer here, and would be added to the time a bot takes to fall silent.
    """

    def __init__(self, in_rate: int, out_rate: int):
        """Design the filter.

        Args:
            in_rate: Samples per second given to `process`.
            out_rate: Samples per second it returns.
        """
        divisor = gcd(in_rate, out_rate)
        self._up, self._down = out_rate // divisor, in_rate // divisor
        self._pass_through = in_rate == out_rate
        # Decimation needs a filter as much longer as the pass band is narrower.
        taps = int(_TAPS_PER_PHASE * max(1.0, in_rate / out_rate)) // 2 * 2
        cutoff = 0.92 * min(1.0, out_rate / in_rate)
        # Tap k of phase p weighs the input sample (k - taps/2 + 1) - p/up away from the output's instant.
        distance = np.arange(taps) - taps / 2 + 1 - np.arange(self._up)[:, None] / self._up
        window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (2 * distance / taps) ** 2, 0, 1))) / np.i0(_KAISER_BETA)
        filters = np.sinc(distance * cutoff) * window
        self._filters = (filters / filters.sum(axis=1, keepdims=True)).astype(np.float32)
        self._taps = taps
        self._history = np.zeros(taps // 2 - 1, np.float32)
        self._position = 0  # of the next output in the history, in units of 1/up input samples
        self.delay_secs = 0.0 if self._pass_through else taps / 2 / in_rate
        """Delay of the output against the input, in seconds."""

    def process(self, block: np.ndarray) -> np.ndarray:
        """Convert the next int16 block; the number of samples returned varies by one.

        Args:
            block: int16 samples at the input rate, any number.

        Returns:
            int16 samples at the output rate.
        """
        if self._pass_through:
            return block
        samples = np.concatenate([self._history, block.astype(np.float32)])
        last = (len(samples) - self._taps) * self._up
        count = max(0, (last - self._position) // self._down + 1)
        positions = self._position + self._down * np.arange(count)
        if count:
            windows = np.lib.stride_tricks.sliding_window_view(samples, self._taps)[positions // self._up]
            result = np.einsum("ij,ij->i", windows, self._filters[positions % self._up])
        else:
            result = np.empty(0, np.float32)
        self._position += count * self._down
        consumed = min(self._position // self._up, len(samples))
        self._history = samples[consumed:]
        self._position -= consumed * self._up
        return np.clip(np.rint(result), -32768, 32767).astype(np.int16)
