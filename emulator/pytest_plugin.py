"""Pytest fixtures that put Google's APIs on loopback into anybody's tests.

``google_emulator`` and ``google_emulator_factory`` are for one test and need pytest-asyncio; ``google_emulator_server``
serves a whole session from a thread, needs nothing, and begins anew before each test that asks for ``google_apis``.
All of them lead every Google client of the process to the emulator. Nothing is imported before a fixture is used.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from halfcascade.emulator.background import BackgroundEmulator
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
    from halfcascade.emulator.redirect.sitecustomize import redirect
    from halfcascade.emulator.server import GoogleEmulator

    started: list[GoogleEmulator] = []

    async def start(**options: Any) -> "GoogleEmulator":
        google = GoogleEmulator(**options)
        await google.start()
        started.append(google)
        for name, value in {**google.extra_env, **google.env}.items():
            monkeypatch.setenv(name, value)
        return google

    undo = redirect()
    yield start
    undo()
    for google in started:
        await google.stop()


@fixture
async def google_emulator(
    google_emulator_factory: Callable[..., Awaitable["GoogleEmulator"]],
) -> "GoogleEmulator":
    """Google's APIs with a scripted mind and no latencies; every Google client is led there."""
    return await google_emulator_factory()


@pytest.fixture(scope="session")
def google_emulator_options() -> dict[str, Any]:
    """Arguments of the session's ``GoogleEmulator``; override it in a ``conftest.py``."""
    return {}


@pytest.fixture(scope="session")
def google_emulator_server(google_emulator_options: dict[str, Any]) -> Iterator["BackgroundEmulator"]:
    """Google's APIs for the whole session, in a thread; every Google client is led there from now on."""
    from halfcascade.emulator.background import BackgroundEmulator

    with BackgroundEmulator(**google_emulator_options) as google:
        yield google


@pytest.fixture
def google_apis(google_emulator_server: "BackgroundEmulator") -> "BackgroundEmulator":
    """The session's APIs as they were at the start: the scenario from its beginning, no faults, an empty log."""
    google_emulator_server.reset()
    return google_emulator_server
