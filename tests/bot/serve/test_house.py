"""The embedded servers of a house: their log is kept only where somebody was told to look into it."""

import asyncio
import tempfile

import pytest

from halfcascade.bot.serve import house
from halfcascade.bot.settings import Backend, Settings
from halfcascade.processors.errors import ConfigurationError


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def embedded(monkeypatch, *, error=None, died=False):
    """Let the embedded servers start, fail or die."""

    class Emulator:
        has_died = died
        stopped = 0

        def __init__(self, folder, **_):
            self.log = folder / "emulator.log"

        async def start(self):
            self.log.write_text("a line")
            if error is not None:
                raise error(f"see {self.log}" if error is ConfigurationError else "")
            return {"SPEECH_EMULATOR_HOST": "127.0.0.1:9"}

        async def stop(self):
            Emulator.stopped += 1

    monkeypatch.setattr(house, "Emulator", Emulator)
    return Emulator


@pytest.mark.parametrize(("died", "left"), [(False, 0), (True, 1)])
async def test_the_log_goes_with_servers_that_end_in_order(place, monkeypatch, died, left):
    emulator = embedded(monkeypatch, died=died)
    servers = await house.find_servers(Settings(_env_file=None, backend=Backend.EMULATOR))
    assert servers.environ["SPEECH_EMULATOR_HOST"] == "127.0.0.1:9" and len(list(place.iterdir())) == 1
    await servers.close()
    assert emulator.stopped == 1 and len(list(place.iterdir())) == left


@pytest.mark.parametrize(("error", "left"), [(ConfigurationError, 1), (OSError, 0), (asyncio.CancelledError, 0)])
async def test_servers_that_do_not_start_leave_the_log_they_name(place, monkeypatch, error, left):
    emulator = embedded(monkeypatch, error=error)
    with pytest.raises(error):
        await house.find_servers(Settings(_env_file=None, backend=Backend.EMULATOR))
    assert emulator.stopped == 1 and len(list(place.iterdir())) == left
