"""An emulator in a thread of its own, for tests and programs that have no event loop, or one for each test."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

from halfcascade.emulator.redirect.sitecustomize import Undo, redirect
from halfcascade.emulator.server import GoogleEmulator

_PATIENCE_SECS = 60.0
Result = TypeVar("Result")


class BackgroundEmulator:
    """Serves until it is closed; leads every Google client of this process there.

    ``with BackgroundEmulator(scenario=...) as google`` takes the arguments of ``GoogleEmulator``. While it is open the
    environment holds the emulator's variables, and clients that read none are led there all the same.

    Parameters:
        lead_clients: Whether clients are led there.
        options: Of ``GoogleEmulator``.

    Attributes:
        google: The emulator; its coroutines run through ``run``.
    """

    def __init__(self, *, lead_clients: bool = True, **options: Any) -> None:
        self.google = GoogleEmulator(**options)
        self._lead_clients = lead_clients
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="google emulator", daemon=True)
        self._undo: Undo | None = None
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> "BackgroundEmulator":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def env(self) -> dict[str, str]:
        """Environment that leads Google's clients here."""
        return self.google.env

    @property
    def log(self) -> Any:
        """What the services received and sent."""
        return self.google.log

    def start(self) -> None:
        """Serve.

        Raises:
            EmulatorError: If it cannot start.
        """
        self._thread.start()
        try:
            self.run(self.google.start())
        except BaseException:
            self._end_thread()
            raise
        if self._lead_clients:
            environment = {**self.google.extra_env, **self.google.env}
            self._before = {name: os.environ.get(name) for name in environment}
            os.environ.update(environment)
            self._undo = redirect()

    def stop(self) -> None:
        """End everything and restore the environment."""
        if self._undo is not None:
            self._undo()
            self._undo = None
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before = {}
        self.run(self.google.stop())
        self._end_thread()

    def reset(self, **settings: Any) -> None:
        """Begin anew for the next test.

        Args:
            settings: ``scenario``, ``profile`` and ``clock_scale`` from now on.
        """
        if settings:
            self.run(self.google.change(settings))
        self.run(self.google.reset())

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine of the emulator in its thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_SECS)

    def _end_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_SECS)
        self._loop.close()
