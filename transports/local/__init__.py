"""Local audio for a laptop: one microphone and one loudspeaker that do not hear each other.

`LocalDuplexTransport` takes the place of Pipecat's ``LocalAudioTransport``. The bot does not hear itself on
open loudspeakers (WebRTC echo cancelling inside the transport), output survives a stalled event loop, devices are named
and come back when they were unplugged, and what downstream processors see as spoken was really heard.
"""

import asyncio
from typing import Any

from loguru import logger
from pipecat.transports.base_transport import BaseTransport

from halfcascade.transports.devices import Direction
from halfcascade.transports.local.input import LocalDuplexInput
from halfcascade.transports.local.output import LocalAudioMetricsData, LocalDuplexOutput
from halfcascade.transports.local.session import LocalAudioStats, LocalDuplexParams, LocalSession

__all__ = [
    "LocalAudioMetricsData",
    "LocalAudioStats",
    "LocalDuplexInput",
    "LocalDuplexOutput",
    "LocalDuplexParams",
    "LocalDuplexTransport",
]


class LocalDuplexTransport(BaseTransport):
    """Microphone and loudspeaker of this machine, echo cancelled.

    Event handlers:

    - ``on_device_problem(transport, message)``: a device failed or is gone; it is being opened again.
    - ``on_device_recovered(transport, message)``: the devices are open again.
    - ``on_half_duplex(transport, active)``: echo cancelling does not work, so the microphone is closed while the bot
      speaks; or it works again.

    Example::

        transport = LocalDuplexTransport(LocalDuplexParams(output_device="Speakers"))
        await transport.open()  # ConfigurationError: one line for a person
        pipeline = Pipeline([transport.input(), ..., transport.output()])
    """

    def __init__(self, params: LocalDuplexParams | None = None, **kwargs: Any):
        """Make the transport; no device is opened before `open` or the pipeline's start.

        Args:
            params: Devices, echo cancelling and buffers.
            **kwargs: Names for Pipecat's ``BaseTransport``.
        """
        super().__init__(**kwargs)
        self._session = LocalSession(params or LocalDuplexParams(), self)
        self._input: LocalDuplexInput | None = None
        self._output: LocalDuplexOutput | None = None
        self._calls: set[asyncio.Task] = set()
        for event in ("on_device_problem", "on_device_recovered", "on_half_duplex"):
            self._register_event_handler(event)

    @property
    def stats(self) -> LocalAudioStats:
        """Counters so far."""
        return self._session.stats

    def input(self) -> LocalDuplexInput:
        """The microphone's processor."""
        if not self._input:
            self._input = LocalDuplexInput(self._session, name=self._input_name)
        return self._input

    def output(self) -> LocalDuplexOutput:
        """The loudspeaker's processor."""
        if not self._output:
            self._output = LocalDuplexOutput(self._session, name=self._output_name)
        return self._output

    async def open(self) -> None:
        """Open the devices before the pipeline runs, so that what is wrong with them can be told at once.

        Raises:
            ConfigurationError: If a device is missing, busy or not allowed, or the name fits none.
        """
        await self._session.open()

    def use_device(self, direction: Direction, name: str | None) -> None:
        """Take another device while the conversation goes on; handlers are told when it is open.

        Args:
            direction: Which one.
            name: Its name or part of it, or None for the system's default.
        """
        self._session.use_device(direction, name)

    async def close(self) -> None:
        """Close the devices; only needed after `open` if no pipeline ran."""
        await self._session.close()

    def device_problem(self, message: str) -> None:
        """Tell handlers and log what went wrong."""
        logger.warning(f"{message}.")
        self._tell("on_device_problem", message)

    def device_recovered(self, message: str) -> None:
        """Tell handlers and log that audio is back."""
        logger.info(f"{message}.")
        self._tell("on_device_recovered", message)

    def half_duplex(self, active: bool) -> None:
        """Tell handlers and log whether the microphone is closed while the bot speaks."""
        if active:
            logger.warning(
                "The echo of the bot's voice cannot be cancelled here: the microphone is closed while it speaks. "
                "A headset or a lower volume lets you interrupt again."
            )
        else:
            logger.info("Echo cancelling works: you can interrupt the bot again.")
        self._tell("on_half_duplex", active)

    def _tell(self, event: str, *arguments: Any) -> None:
        call = asyncio.get_running_loop().create_task(self._call_event_handler(event, *arguments))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
