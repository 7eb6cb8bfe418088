"""Keeps a conversation's devices open: notices what went wrong with them and opens them again."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from loguru import logger

from halfcascade.processors.errors import ConfigurationError
from halfcascade.transports.devices import Device, Direction, choose, probe
from halfcascade.transports.local.device import DeviceHealth, DuplexDevice

SILENT_SECS = 0.5
"""A device that neither took nor gave audio for this long is dead; PortAudio itself says nothing.

See facts/audio#devices.
"""

_T = TypeVar("_T")
_TICK_SECS = 0.1
_BACKOFF_SECS = (0.1, 0.2, 0.4, 0.8, 1.5)
_SERVER_PROBE_SECS = 1.0
_PROCESS_PROBE_SECS = 5.0


class Watchdog:
    """Decides from readings when the devices must be opened again, and when to try. Pure: the clock is an argument."""

    def __init__(self) -> None:
        self._stale_ticks = 0
        self._attempts = 0

    def problem(self, now: float, health: DeviceHealth) -> str | None:
        """Judge the threads' last doings.

        Args:
            now: ``time.monotonic()``.
            health: What they did.

        Returns:
            What is wrong, for a person, or None.
        """
        if health.error:
            return f"The loudspeaker failed ({health.error})"
        silent = None
        if health.input_open and now - health.captured_at > SILENT_SECS:
            silent = "The microphone gives no audio"
        elif health.output_open and now - health.rendered_at > SILENT_SECS:
            silent = "The loudspeaker takes no audio"
        # Twice in a row: right after the whole process was held up, the threads get their turn first.
        self._stale_ticks = self._stale_ticks + 1 if silent else 0
        return silent if self._stale_ticks >= 2 else None

    def changed(self, opened: "Opened", devices: list[Device]) -> str | None:
        """Compare what is open with what there is.

        Args:
            opened: What was wanted and what is open.
            devices: What there is now.

        Returns:
            Why to open again, for a person, or None.
        """
        for direction, wanted, device in opened.each():
            try:
                chosen = choose(devices, direction, wanted)
            except ConfigurationError as error:
                if device:
                    return f"The {direction.noun} “{device.name}” is gone ({error})"
                continue
            if device is None:
                return f"The {direction.noun} “{chosen.name}” is there"
            if (chosen.name, chosen.identity) != (device.name, device.identity):
                return f"The {direction.noun} is “{chosen.name}” now"
        return None

    def failed(self) -> float:
        """Note a failed attempt to open.

        Returns:
            Seconds to wait before the next.
        """
        self._attempts += 1
        return _BACKOFF_SECS[min(self._attempts, len(_BACKOFF_SECS)) - 1]

    def succeeded(self) -> None:
        """Note that the devices are open."""
        self._attempts = self._stale_ticks = 0


@dataclass(frozen=True)
class Opened:
    """Which devices a conversation wants, and which it has.

    Parameters:
        wanted: Per direction in use, the name wanted or None for the default.
        devices: Per direction, what is open.
    """

    wanted: dict[Direction, str | None]
    devices: dict[Direction, Device | None]

    def each(self) -> list[tuple[Direction, str | None, Device | None]]:
        """Direction, wanted name and open device of each direction in use."""
        return [(direction, wanted, self.devices.get(direction)) for direction, wanted in self.wanted.items()]


class DeviceKeeper:
    """Opens a `DuplexDevice`, and again whenever it has to be; everything that blocks happens on one worker thread."""

    def __init__(
        self,
        device: DuplexDevice,
        wanted: dict[Direction, str | None],
        *,
        on_problem: Callable[[str], None],
        on_recovered: Callable[[str], None],
        before_reopen: Callable[[], None],
        on_other_devices: Callable[[], None],
        on_tick: Callable[[float], None],
    ):
        """Prepare; nothing is opened yet.

        Args:
            device: What to keep open.
            wanted: Per direction in use, a device's name or part of it, or None for the default.
            on_problem: Told, on the event loop, what went wrong.
            on_recovered: Told, on the event loop, that all is open again.
            before_reopen: Called on the worker thread while everything is closed.
            on_other_devices: Called on the worker thread when others were opened than before.
            on_tick: Called on the event loop ten times a second with ``time.monotonic()``.
        """
        self.reopened = 0
        self._device = device
        self._wanted = wanted
        self._on_problem, self._on_recovered, self._before_reopen = on_problem, on_recovered, before_reopen
        self._on_other_devices = on_other_devices
        self._on_tick = on_tick
        self._watchdog = Watchdog()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audio-devices")
        self._is_open = False
        self._look_now = False
        self._names: dict[Direction, str] = {}

    def want(self, direction: Direction, name: str | None) -> None:
        """Have another device opened at the next look around, which comes at once.

        Args:
            direction: Which one.
            name: Its name or part of it, or None for the default.
        """
        self._wanted = {**self._wanted, direction: name}
        self._look_now = True

    async def open(self) -> None:
        """Open everything wanted, if it is not open.

        Raises:
            ConfigurationError: If a device is missing or does not open.
        """
        if not self._is_open:
            await self._work(self._open_now, False)
            self._is_open = True

    async def close(self) -> None:
        """Close everything; it may be opened again."""
        self._is_open = False
        await self._work(self._device.close)

    async def run(self) -> None:
        """Watch until cancelled."""
        watching = asyncio.get_running_loop().create_task(self._watch())
        try:
            while not watching.done():
                await asyncio.sleep(_TICK_SECS)
                self._on_tick(time.monotonic())
            await watching
        finally:
            watching.cancel()

    async def _watch(self) -> None:
        next_probe = time.monotonic() + _SERVER_PROBE_SECS
        while True:
            await asyncio.sleep(_TICK_SECS)
            problem = self._watchdog.problem(time.monotonic(), self._device.health)
            served = self._sound_server
            if not problem and (time.monotonic() >= next_probe or self._look_now):
                self._look_now = False
                devices = await self._work(probe, served)
                problem = self._watchdog.changed(self._opened, devices) if devices is not None else None
                next_probe = time.monotonic() + (_SERVER_PROBE_SECS if served else _PROCESS_PROBE_SECS)
            if problem:
                self._on_problem(problem)
                await self._reopen()
                next_probe = time.monotonic() + _SERVER_PROBE_SECS

    @property
    def _sound_server(self) -> bool:
        return any(device.server_name for device in (self._device.input, self._device.output) if device)

    @property
    def _opened(self) -> Opened:
        health = self._device.health
        return Opened(
            self._wanted,
            {
                Direction.INPUT: self._device.input if health.input_open else None,
                Direction.OUTPUT: self._device.output if health.output_open else None,
            },
        )

    async def _reopen(self) -> None:
        while True:
            try:
                await self._work(self._open_now, True)
                break
            except ConfigurationError as error:
                logger.debug(f"audio devices: {error}")
                await asyncio.sleep(self._watchdog.failed())
        self._watchdog.succeeded()
        self.reopened += 1
        opened = self._opened.each()
        missing = [direction.noun for direction, _, device in opened if device is None]
        if missing:
            self._on_problem(f"The conversation goes on without a {missing[0]} until one is plugged in")
        else:
            names = ", ".join(f"{direction.noun} “{device.name}”" for direction, _, device in opened if device)
            self._on_recovered(f"Audio is back: {names}")

    def _open_now(self, partly: bool) -> None:
        self._device.close()
        if partly:
            self._before_reopen()
        wanted = self._wanted
        self._device.open(wanted.get(Direction.INPUT), wanted.get(Direction.OUTPUT), partly=partly)
        opened = {d: device.name for d, device in self._opened.devices.items() if device}
        if any(self._names.get(direction, name) != name for direction, name in opened.items()):
            self._on_other_devices()
        self._names |= opened

    async def _work(self, function: Callable[..., _T], *arguments: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, function, *arguments)
