import tempfile
from pathlib import Path

import pytest

from tests.virtual_audio import VirtualAudio, missing


@pytest.fixture(scope="session")
def sound_server():
    """One private sound server for the session; it costs nothing while idle."""
    if reason := missing():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="va") as directory:
        audio = VirtualAudio(Path(directory))
        audio.start()
        yield audio
        audio.stop()


@pytest.fixture
def sound_card(sound_server, monkeypatch):
    """The virtual microphone and loudspeaker, plugged in, and this process pointed at them."""
    for name, value in sound_server.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("PULSE_SINK", "PULSE_SOURCE"):
        monkeypatch.delenv(name, raising=False)
    sound_server.restore()
    yield sound_server
    sound_server.close_room()
