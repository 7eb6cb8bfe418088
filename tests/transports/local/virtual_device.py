"""Devices that are only arithmetic, for a `LocalDuplexTransport` in virtual time: what is heard, to the sample."""

import asyncio
import time
from typing import Any

import numpy as np

from halfcascade.transports.local import session, watchdog
from halfcascade.transports.local.device import CAPTURE_BLOCK_SECS, DeviceHealth
from tests.virtual_audio import Recording

TICK_SECS = 0.01


class Tap:
    """Keeps all that a device did, by direction: time, rate and samples of each block."""

    def __init__(self):
        self.blocks = {"captured": [], "played": []}

    def captured(self, audio, sample_rate, at):
        self.blocks["captured"].append((at, sample_rate, np.frombuffer(audio, np.int16)))

    def played(self, audio, sample_rate, at):
        self.blocks["played"].append((at, sample_rate, np.frombuffer(audio, np.int16)))

    def loud(self, direction, threshold=300):
        """Times of the first and the last loud sample."""
        times = [
            at + np.flatnonzero(np.abs(samples.astype(int)) > threshold)[[0, -1]] / rate
            for at, rate, samples in self.blocks[direction]
            if (np.abs(samples.astype(int)) > threshold).any()
        ]
        return float(times[0][0]), float(times[-1][1])


class VirtualDevice:
    """Stands for the `DuplexDevice` of a session: keeps the loudspeaker filled as the real one does, on the loop.

    Where the loop is made to stand still, `advance` does what the real one's threads do meanwhile.

    Parameters:
        heard: What the loudspeaker played.
        spoken: What the microphone hears next, silence when it is used up.
    """

    input = output = None
    underruns = overflows = 0

    def __init__(self, *, input_rate, output_rate, buffer_secs, on_captured, source, on_rendered):
        self.heard = Recording(output_rate)
        self.spoken = np.zeros(0, np.int16)
        self._input_rate = input_rate
        self._buffer_secs = buffer_secs
        self._on_captured, self._source, self._on_rendered = on_captured, source, on_rendered
        self._rendered = self._captured = 0.0
        self._running: asyncio.Task[None] | None = None

    @property
    def health(self) -> DeviceHealth:
        """All is well, always."""
        now = time.monotonic()
        return DeviceHealth(self._running is not None, self._running is not None, now, now)

    def open(self, _input_wanted: str | None, _output_wanted: str | None, *, partly: bool = False) -> None:
        """Start; never fails."""
        self._running = asyncio.get_running_loop().create_task(self._run())

    def close(self) -> None:
        """Stop."""
        if self._running:
            self._running.cancel()
            self._running = None

    def advance(self) -> None:
        """Play and capture all that is due."""
        began = self.heard.started_at
        passed = time.monotonic() - began
        while self._rendered < passed + self._buffer_secs - TICK_SECS / 2:
            samples = self._source(round(TICK_SECS * self.heard.rate))
            self._on_rendered(samples, began + self._rendered)
            self.heard.samples = np.concatenate([self.heard.samples, samples])
            self._rendered += TICK_SECS
        while self._captured + CAPTURE_BLOCK_SECS <= passed:
            block = np.zeros(round(CAPTURE_BLOCK_SECS * self._input_rate), np.int16)
            given, self.spoken = self.spoken[: len(block)], self.spoken[len(block) :]
            block[: len(given)] = given
            self._on_captured(block, began + self._captured)
            self._captured += CAPTURE_BLOCK_SECS

    async def _run(self) -> None:
        self.heard.started_at = time.monotonic()
        while True:
            self.advance()
            await asyncio.sleep(TICK_SECS)


def use_virtual_devices(monkeypatch) -> list[Any]:
    """Give every session such devices; returns where they are listed as they are made."""
    made: list[Any] = []

    def make(**arguments: Any) -> VirtualDevice:
        made.append(VirtualDevice(**arguments))
        return made[-1]

    monkeypatch.setattr(session, "DuplexDevice", make)
    monkeypatch.setattr(watchdog, "probe", lambda served: None)
    return made
