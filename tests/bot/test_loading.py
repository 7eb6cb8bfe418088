"""What is loaded before a talk."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from halfcascade.bot.loading import load
from halfcascade.processors.turns import networks


@pytest.fixture(autouse=True)
def unfrozen():
    yield
    gc.unfreeze()


async def test_what_is_loaded_is_left_out_of_collections(monkeypatch):
    asked, before = [], gc.get_freeze_count()
    monkeypatch.setattr(networks, "load_networks", lambda *languages: asked.append((languages, gc.isenabled())))
    await load(["ko-KR", "en-US"])
    assert asked == [(("ko-KR", "en-US"), False)]
    assert gc.isenabled()
    assert gc.get_freeze_count() > before + 10_000


async def test_what_cannot_be_loaded_is_told_and_garbage_collected_again(monkeypatch):
    def fail(*languages):
        raise RuntimeError("the network is broken")

    monkeypatch.setattr(networks, "load_networks", fail)
    with pytest.raises(RuntimeError, match="is broken"):
        await load(["en-US"])
    assert gc.isenabled()


def test_networks_report_to_nobody(tmp_path):
    program = "import halfcascade.processors, onnxruntime, sys; onnxruntime.InferenceSession(sys.argv[1])"
    network = Path(networks.__file__).parent / "data" / "barge_in_sound.onnx"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    environ["HOME"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", program, network], env=environ, check=True)
    assert list(tmp_path.iterdir()) == []
