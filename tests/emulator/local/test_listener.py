import asyncio
import json
from pathlib import Path

import jiwer
import numpy as np
import pytest

from halfcascade.emulator.minds.base import LISTENER_RATE, Hypothesis, MindError, RecognitionRequest, SpeechActivity
from halfcascade.emulator.minds.local.listener import LocalListener, MoonshineEngine, tidy
from tests.emulator.local.conftest import CHUNK, needs_ears, read_wav, recording, recordings, silence, words


class FakeEngine:
    """Says how much audio it got; waits at a gate if there is one."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.gate: asyncio.Event | None = None
        self.error: Exception | None = None

    async def transcribe(self, samples: np.ndarray) -> str:
        self.asked.append(len(samples) / LISTENER_RATE)
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise self.error
        return f"words of {len(samples) / LISTENER_RATE:.1f} seconds"


async def listen(engine, pcm: bytes, *, interims: bool = False, endpointing="standard", seconds_per_chunk=0.001):
    """Feed everything, 100 ms at a time; return the results."""
    recognition = LocalListener(engine).recognize(
        RecognitionRequest(["en-US"], "latest_long", interims, endpointing=endpointing)
    )
    results: list[Hypothesis | SpeechActivity] = []

    async def read() -> None:
        async for result in recognition.results():
            results.append(result)

    reader = asyncio.create_task(read())
    for at in range(0, len(pcm), CHUNK):
        await recognition.audio(pcm[at : at + CHUNK])
        await asyncio.sleep(seconds_per_chunk)
    await recognition.finish()
    await asyncio.wait_for(reader, 60)
    await recognition.close()
    return results


def texts(results, *, final: bool = True) -> list[str]:
    return [result.text for result in results if isinstance(result, Hypothesis) and result.is_final == final]


@pytest.mark.parametrize("codes", [["ko-KR"], ["ko-KR", "ja-JP"], ["de-DE"]])
def test_other_languages_are_refused_in_one_line(codes):
    with pytest.raises(MindError, match=r"^The local mind hears English only, not .*: choose .*\.$"):
        LocalListener(FakeEngine()).recognize(RecognitionRequest(codes, "long"))


@pytest.mark.parametrize("codes", [["en-GB"], ["auto"], ["ko-KR", "en-US"]])
def test_english_and_auto_are_heard(codes):
    assert LocalListener(FakeEngine()).recognize(RecognitionRequest(codes, "long"))


async def test_activity_then_final_and_no_interims_unless_wanted():
    results = await listen(FakeEngine(), recording("greeting")["pcm"])
    kinds = [result.kind if isinstance(result, SpeechActivity) else result.is_final for result in results]
    assert kinds == ["begin", "end", True]
    final = results[-1]
    assert final.start < 0.5 < 3.7 < final.end < 4.0
    assert final.language_code == "en-US"


async def test_the_end_costs_no_second_decoding():
    """The portion was decoded when the speech seemed over; the final uses that."""
    engine = FakeEngine()
    results = await listen(engine, recording("yes")["pcm"])
    assert len(texts(results)) == len(engine.asked) == 1


async def test_interims_split_into_what_is_stable_and_what_may_change():
    class Growing(FakeEngine):
        async def transcribe(self, samples):
            self.asked.append(len(samples))
            return " ".join(["One,", "two", "three", "four", "five", "six"][: 1 + len(self.asked)])

    results = await listen(Growing(), recording("greeting")["pcm"], interims=True)
    interims = [result for result in results if isinstance(result, Hypothesis) and not result.is_final]
    assert (interims[0].text, interims[0].tail, interims[0].stability) == ("One, two", "", 0.1)
    assert (interims[1].text, interims[1].tail, interims[1].stability) == ("One, two", "three", 0.9)


@pytest.mark.parametrize(("heard", "final"), [("I live in Lisbon,", "I live in Lisbon."), ("Really?", "Really?")])
async def test_a_final_does_not_end_in_a_comma(heard, final):
    class Comma(FakeEngine):
        async def transcribe(self, samples):
            return heard

    assert texts(await listen(Comma(), recording("yes")["pcm"])) == [final]


async def test_half_close_flushes_a_final():
    one = recording("greeting")
    results = await listen(FakeEngine(), one["pcm"][: int(2 * LISTENER_RATE) * 2])
    assert len(texts(results)) == 1
    assert [result.kind for result in results if isinstance(result, SpeechActivity)] == ["begin"]


async def test_nothing_said_gives_nothing():
    engine = FakeEngine()
    assert await listen(engine, silence(2.0)) == []
    assert engine.asked == []


@pytest.mark.parametrize("name", ["cough", "knock"])
async def test_a_noise_is_activity_without_words(name):
    engine = FakeEngine()
    results = await listen(engine, recording(name)["pcm"])
    assert engine.asked == []
    assert all(isinstance(result, SpeechActivity) for result in results)


async def test_a_slow_engine_skips_interims_but_no_final():
    engine = FakeEngine()
    engine.gate = asyncio.Event()
    recognition = LocalListener(engine).recognize(RecognitionRequest(["en-US"], "long", True))
    await recognition.audio(recording("mid_pause")["pcm"])
    await asyncio.sleep(0)
    engine.gate.set()
    await recognition.finish()
    results = [result async for result in recognition.results()]
    assert len(texts(results)) == 2
    assert len(engine.asked) <= 3
    await recognition.close()


async def test_an_engine_that_fails_ends_the_results_with_its_error():
    engine = FakeEngine()
    engine.error = RuntimeError("out of memory")
    with pytest.raises(RuntimeError, match="out of memory"):
        await listen(engine, recording("yes")["pcm"])


async def test_close_gives_up_at_once():
    engine = FakeEngine()
    engine.gate = asyncio.Event()  # never set
    recognition = LocalListener(engine).recognize(RecognitionRequest(["en-US"], "long"))
    await recognition.audio(recording("yes")["pcm"])
    reader = asyncio.create_task(anext(recognition.results(), None))
    await asyncio.sleep(0)
    await asyncio.wait_for(recognition.close(), 5)
    await asyncio.wait_for(reader, 5)


@pytest.mark.parametrize(("raw", "text"), [("  Hello \n there. ", "Hello there."), (" . ", ""), ("", "")])
def test_tidy(raw, text):
    assert tidy(raw) == text


@pytest.fixture(scope="module")
async def ears():
    engine = MoonshineEngine()
    await engine.load()
    yield engine
    engine.close()


@needs_ears
async def test_understands_the_recordings(ears):
    said, heard = [], []
    for one in recordings("utterance", "interruption"):
        if one["language"] == "en-US":
            said.append(words(one["text"]))
            heard.append(words(" ".join(texts(await listen(ears, one["pcm"])))))
    assert jiwer.wer(said, heard) < 0.12  # 3 % when written, most of it "15" for "fifteen"


@needs_ears
async def test_understands_the_user_of_the_demo(ears):
    assets = Path(__file__).parents[3] / "bot" / "assets"
    turns = json.loads((assets / "demo_user.json").read_text())
    finals = texts(await listen(ears, read_wav(assets / "demo_user.wav")))
    assert len(finals) == len(turns)
    assert jiwer.wer([words(turn["text"]) for turn in turns], [words(final) for final in finals]) < 0.1


@needs_ears
async def test_interims_come_while_the_user_speaks(ears):
    results = await listen(ears, recording("greeting")["pcm"], interims=True, seconds_per_chunk=0.05)
    assert texts(results, final=False)
    assert texts(results)


@needs_ears
async def test_the_loop_runs_on_while_the_engine_works(ears):
    """15 s of speech, decoded at once, take the engine about half a second; the loop must not notice."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticker = asyncio.create_task(tick())
    samples = np.frombuffer(recording("reading")["pcm"], dtype="<i2").astype(np.float32) / 32768
    await ears.transcribe(samples[: 15 * LISTENER_RATE])
    ticker.cancel()
    # A loop that waits for the engine ticks once; a slow machine takes its time for both.
    assert ticks > 10
