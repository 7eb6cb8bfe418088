"""Pytest fixtures that put Google's APIs on loopback into anybody's tests."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from halfcascade.emulator.server import GoogleEmulator

try:
    from pytest_asyncio import fixture
except ImportError:  # The plug-in is loaded in everybody's tests; who has no event loop does not ask for its fixtures.
    fixture = pytest.fixture  # type: ignore[assignment]


@fixture
async def google_emulator_factory(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Callable[..., Awaitable["GoogleEmulator"]]]:
    """Start emulators with options of one's own.

    ``google = await google_emulator_factory(profile="reference")`` takes the arguments of ``GoogleEmulator``. The
    environment leads Google's clients to the emulator started last; all are stopped after the test.
    """
    from halfcascade.emulator.server import GoogleEmulator

    started: list[GoogleEmulator] = []

    async def start(**options: Any) -> "GoogleEmulator":
        google = GoogleEmulator(**options)
        await google.start()
        started.append(google)
        for name, value in google.env.items():
            monkeypatch.setenv(name, value)
        return google

    yield start
    for google in started:
        await google.stop()


@fixture
async def google_emulator(
    google_emulator_factory: Callable[..., Awaitable["GoogleEmulator"]],
) -> "GoogleEmulator":
    """Google's three APIs with a scripted mind and no latencies; the environment leads Google's clients there."""
    return await google_emulator_factory()
