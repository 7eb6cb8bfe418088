"""Korean ears: chosen where they are installed, and put together out of two packages."""

import asyncio
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from halfcascade.emulator.minds.base import MindError, RecognitionRequest
from halfcascade.emulator.minds.local import packages
from halfcascade.emulator.minds.local.listener import LocalListener
from halfcascade.emulator.minds.local.whisper import WhisperEngine, joined_model
from tests.emulator.local.conftest import CHUNK, recording
from tests.emulator.local.test_listener import FakeEngine, texts

WEIGHTS = bytes(range(256)) * 20
WHOLE = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    folders = [tmp_path / "one", tmp_path / "two"]
    for number, folder in enumerate(folders, 1):
        folder.mkdir()
        half = WEIGHTS[: len(WEIGHTS) // 2] if number == 1 else WEIGHTS[len(WEIGHTS) // 2 :]
        (folder / f"model.bin.part{number}").write_bytes(half)
    (folders[0] / "config.json").write_text("{}")
    return folders


def test_the_model_is_put_together_once(parts: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "cache" / "whisper"
    assert joined_model(parts, target, WHOLE) == target
    assert (target / "model.bin").read_bytes() == WEIGHTS
    assert sorted(path.name for path in target.iterdir()) == ["config.json", "model.bin"]
    (parts[1] / "model.bin.part2").unlink()
    assert joined_model(parts, target, WHOLE) == target
    assert [path.name for path in target.parent.iterdir()] == ["whisper"]


@pytest.mark.parametrize("damage", ["other", "short", "missing", "no folder"])
def test_what_is_not_the_model_is_one_line(parts: list[Path], tmp_path: Path, damage: str) -> None:
    part = parts[1] / "model.bin.part2"
    match damage:
        case "other":
            part.write_bytes(part.read_bytes()[::-1])
        case "short":
            part.write_bytes(part.read_bytes()[:-1])
        case "missing":
            part.unlink()
        case _:
            (tmp_path / "cache").write_text("a file")
    with pytest.raises(MindError, match="Whisper's weights") as caught:
        joined_model(parts, tmp_path / "cache" / "whisper", WHOLE)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache" / "whisper").exists()


@pytest.mark.parametrize(
    ("codes", "installed", "heard"),
    [
        (["ko-KR"], True, "ko"),
        (["ko-KR"], False, ""),
        (["ko-KR", "en-US"], True, "en"),
        (["auto"], False, "en"),
        (["ja-JP"], True, ""),
    ],
)
def test_what_is_heard(monkeypatch: pytest.MonkeyPatch, codes: list[str], installed: bool, heard: str) -> None:
    monkeypatch.setattr(packages, "has_whisper", lambda: installed)
    assert packages.heard_language(codes) == heard


class FakeWhisper(FakeEngine):
    prepared = closed = False

    def prepare(self) -> None:
        self.prepared = True

    def close(self) -> None:
        self.closed = True


async def test_korean_is_heard_by_whisper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "has_whisper", lambda: True)
    english, korean = FakeEngine(), FakeWhisper()
    listener = LocalListener(english, lambda: korean)
    recognition = listener.recognize(RecognitionRequest(["ko-KR"], "long", interim_results=True))
    assert korean.prepared
    pcm = recording("greeting")["pcm"]
    for at in range(0, len(pcm), CHUNK):
        await recognition.audio(pcm[at : at + CHUNK])
    await recognition.finish()
    results = [result async for result in recognition.results()]
    assert len(texts(results)) == 1
    assert texts(results, final=False) == []
    assert {result.language_code for result in results if hasattr(result, "text")} == {"ko-KR"}
    assert english.asked == []
    listener.close()
    assert korean.closed


@pytest.mark.slow
@pytest.mark.skipif(not packages.has_whisper(), reason="needs Whisper's packages")
async def test_whisper_writes_korean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import soundfile
    import soxr

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sound, rate = soundfile.read(Path(__file__).parents[2] / "data" / "ko_weather.wav", dtype="float32")
    engine = WhisperEngine("ko")
    async with asyncio.timeout(120):
        said = await engine.transcribe(soxr.resample(sound, rate, 16_000).astype(np.float32))
    engine.close()
    # The voice of the recording is a synthesizer's, of which no recognizer understands much.
    assert re.search("[가-힣]", said)
