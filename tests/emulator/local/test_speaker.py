import asyncio
import os
import subprocess
import sys

import jiwer
import numpy as np
import pytest
import pytest_asyncio
import soxr
from hypothesis import given
from hypothesis import strategies as st

from halfcascade.emulator.minds.base import LISTENER_RATE, SPEAKER_RATE, MindError, SynthesisRequest
from halfcascade.emulator.minds.local import speaker, speech_process
from halfcascade.emulator.minds.local.listener import MoonshineEngine
from halfcascade.emulator.minds.local.packages import espeak_ng
from halfcascade.emulator.minds.local.speaker import LocalSpeaker, speakable, split_clauses
from halfcascade.emulator.minds.local.speech_process import Clause, EspeakEngine, PiperEngine
from tests.emulator.local.conftest import needs_ears, needs_voice, words

needs_espeak = pytest.mark.skipif(espeak_ng() is None, reason="espeak-ng is not installed (apt or brew)")
ENGLISH = SynthesisRequest("en-US-Chirp3-HD-Charon", "en-US")


@pytest.mark.parametrize(
    ("text", "clauses", "rest"),
    [
        ("Hello there.", ["Hello there."], ""),
        ("Hi. How are", ["Hi."], " How are"),
        ("Well, that is fine, is it", ["Well, that is fine,"], " is it"),
        ("It costs 1,000.50 now", [], "It costs 1,000.50 now"),
        ("Dr. Smith is in", [], "Dr. Smith is in"),
        ("He said: this is the way, and", ["He said: this is the way,"], " and"),
        ("안녕하세요. 반갑", ["안녕하세요."], " 반갑"),
        ("First line\nsecond", ["First line"], "second"),
        ("...", [], ""),
    ],
)
def test_splits_at_clauses(text, clauses, rest):
    assert split_clauses(text, last=False) == (clauses, rest)


def test_the_last_piece_needs_no_end_mark():
    assert split_clauses("Hello there", last=True) == (["Hello there"], "")


@given(
    st.lists(st.sampled_from(["Hello", " there", ",", " and", ".", " 3", ".5", "!", " so on", " a longer word", "\n"]))
)
def test_no_word_is_lost_however_the_text_comes(pieces):
    spoken, rest = [], ""
    for piece in pieces:
        clauses, rest = split_clauses(rest + piece, last=False)
        spoken += clauses
    clauses, rest = split_clauses(rest, last=True)
    assert rest == ""
    assert words(" ".join([*spoken, *clauses])).replace(" ", "") == words("".join(pieces)).replace(" ", "")


def test_what_no_voice_should_say():
    assert speakable("**Hello** [pause long] `there` <b>") == "Hello , there b"


class FakeEngine:
    """Yields the text as bytes."""

    def __init__(self) -> None:
        self.said: list[Clause] = []
        self.closed = 0
        self.begun = asyncio.Event()
        self.gate: asyncio.Event | None = None

    async def start(self) -> None:
        pass

    async def say(self, clause):
        self.said.append(clause)
        self.begun.set()
        try:
            if self.gate:
                await self.gate.wait()
            yield clause.text.encode()
        finally:
            self.closed += 1

    async def close(self) -> None:
        pass


async def test_speaks_a_clause_before_the_rest_has_come():
    engine = FakeEngine()
    synthesis = LocalSpeaker(engine, engine).synthesize(ENGLISH)
    sound = synthesis.audio()
    await synthesis.text("This is the first sentence. And the")
    assert await asyncio.wait_for(anext(sound), 5) == b"This is the first sentence."
    await synthesis.text(" second")
    await synthesis.finish()
    assert [piece async for piece in sound] == [b"And the second"]


async def test_a_sentence_left_open_is_spoken_after_a_while(monkeypatch):
    monkeypatch.setattr(speaker, "_IDLE_SECONDS", 0.01)
    engine = FakeEngine()
    synthesis = LocalSpeaker(engine, engine).synthesize(ENGLISH)
    await synthesis.text("Let me think")
    assert await asyncio.wait_for(anext(synthesis.audio()), 5) == b"Let me think"


async def test_close_gives_up_what_is_being_said():
    engine = FakeEngine()
    engine.gate = asyncio.Event()
    synthesis = LocalSpeaker(engine, engine).synthesize(ENGLISH)
    await synthesis.text("One sentence. Another sentence. A third one.")

    async def play():
        return [piece async for piece in synthesis.audio()]

    player = asyncio.create_task(play())
    await asyncio.wait_for(engine.begun.wait(), 5)
    await synthesis.close()
    engine.gate.set()
    assert await asyncio.wait_for(player, 5) == []
    assert len(engine.said) == engine.closed == 1


async def test_voices_and_rates():
    engine, other = FakeEngine(), FakeEngine()
    voices = LocalSpeaker(engine, other)
    for request in (ENGLISH, SynthesisRequest("en-GB-Chirp3-HD-Kore", "en-GB", 1.5)):
        synthesis = voices.synthesize(request)
        await synthesis.text("Hello there.")
        await synthesis.finish()
        assert [piece async for piece in synthesis.audio()] == [b"Hello there."]
    assert [clause.rate for clause in engine.said] == [1.0, 1.5]
    assert engine.said[1].pitch > engine.said[0].pitch == 1.0
    assert other.said == []


async def test_other_languages_go_to_the_other_engine(monkeypatch):
    monkeypatch.setattr(speaker, "espeak_ng", lambda: "/usr/bin/espeak-ng")
    engine, other = FakeEngine(), FakeEngine()
    synthesis = LocalSpeaker(engine, other).synthesize(SynthesisRequest("ko-KR-Chirp3-HD-Kore", "ko-KR"))
    await synthesis.text("안녕하세요.")
    await synthesis.finish()
    assert [piece async for piece in synthesis.audio()]
    assert [clause.language for clause in other.said] == ["ko"]


def test_without_espeak_other_languages_are_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(speaker, "espeak_ng", lambda: None)
    with pytest.raises(MindError, match=r"ko-KR through espeak-ng, which is not installed: install it"):
        LocalSpeaker(FakeEngine(), FakeEngine()).synthesize(SynthesisRequest("ko-KR-Chirp3-HD-Kore", "ko-KR"))


async def speak(engine, *texts: str, request: SynthesisRequest = ENGLISH) -> bytes:
    synthesis = LocalSpeaker(engine, EspeakEngine()).synthesize(request)
    for text in texts:
        await synthesis.text(text)
    await synthesis.finish()
    return b"".join([piece async for piece in synthesis.audio()])


def seconds(pcm: bytes) -> float:
    return len(pcm) / 2 / SPEAKER_RATE


@needs_espeak
async def test_espeak_speaks_korean():
    pcm = await speak(
        EspeakEngine(), "안녕하세요. 반갑습니다.", request=SynthesisRequest("ko-KR-Chirp3-HD-Kore", "ko-KR")
    )
    assert 1.5 < seconds(pcm) < 8
    assert np.abs(np.frombuffer(pcm, "<i2")).max() > 3000


@needs_espeak
async def test_espeak_says_which_language_it_does_not_know():
    with pytest.raises(MindError, match="cannot speak xx"):
        async for _ in EspeakEngine().say(Clause("Hello.", "xx")):
            pass


@needs_espeak
async def test_espeak_takes_text_that_looks_like_an_option():
    assert seconds(await speak(EspeakEngine(), "--version of the song.", request=ENGLISH)) > 0.5


# The process's output is read by a task: tests that share it must share its loop.
same_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def piper():
    engine = PiperEngine()
    await engine.start()
    yield engine
    await engine.close()


TEXTS = [
    "Nice to meet you, Dana! I hear Lisbon is a lovely place.",
    "The museum opens at ten, and the last tour begins in the afternoon.",
    "Every evening she polished the glass and told the lamp what the day had brought.",
]


@same_loop
@needs_voice
@needs_ears
@pytest.mark.parametrize("voice", ["Charon", "Kore"])
async def test_what_is_said_is_understood_again(piper, voice):
    ears = MoonshineEngine()
    try:
        heard = []
        for text in TEXTS:
            pcm = np.frombuffer(
                await speak(piper, text, request=SynthesisRequest(f"en-US-Chirp3-HD-{voice}", "en-US")), "<i2"
            )
            quiet = np.zeros(LISTENER_RATE // 5, dtype=np.float32)
            samples = soxr.resample(pcm.astype(np.float32) / 32768, SPEAKER_RATE, LISTENER_RATE)
            heard.append(words(await ears.transcribe(np.concatenate([quiet, samples, quiet]))))
    finally:
        ears.close()
    assert jiwer.wer([words(text) for text in TEXTS], heard) < 0.15


@same_loop
@needs_voice
async def test_speaking_rate_changes_the_length(piper):
    slow, fast = [
        seconds(await speak(piper, TEXTS[1], request=SynthesisRequest("en-US-Chirp3-HD-Charon", "en-US", rate)))
        for rate in (0.7, 1.6)
    ]
    assert slow > 1.6 * fast


@same_loop
@needs_voice
async def test_streams_take_turns(piper):
    """The short one, begun later, must not wait for all of the long one."""
    order: list[str] = []
    begun = asyncio.Event()

    async def run(name: str, text: str) -> None:
        synthesis = LocalSpeaker(piper, EspeakEngine()).synthesize(ENGLISH)
        await synthesis.text(text)
        await synthesis.finish()
        async for _ in synthesis.audio():
            order.append(name)
            begun.set()

    long = asyncio.create_task(run("long", "One sentence is here. " * 8))
    await asyncio.wait_for(begun.wait(), 60)
    await run("short", "Hello there.")
    assert not long.done()
    await long
    assert order.count("long") == 8


@same_loop
@needs_voice
async def test_a_clause_that_was_given_up_is_not_spoken_later(piper):
    speech = piper.say(Clause("This sentence will be given up before it has been spoken to its end."))
    task = asyncio.ensure_future(anext(speech))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await speech.aclose()
    assert 0.2 < seconds(b"".join([piece async for piece in piper.say(Clause("Yes."))])) < 1.5


@needs_voice
async def test_a_speech_process_that_died_is_started_again():
    engine = PiperEngine()
    await engine.start()
    try:
        assert engine._process
        engine._process.kill()
        with pytest.raises(MindError, match=r"^The speech process ended with code -?\d+"):
            for _ in range(100):  # until its death is noticed
                async for _piece in engine.say(Clause("Hello there, this is a test.")):
                    await asyncio.sleep(0.01)
        assert [piece async for piece in engine.say(Clause("Hello."))]
    finally:
        await engine.close()


@needs_voice
async def test_close_ends_the_process():
    engine = PiperEngine()
    await engine.start()
    process = engine._process
    await engine.close()
    assert process and process.returncode == 0


async def test_a_process_that_cannot_start_says_so(monkeypatch):
    monkeypatch.setattr(speech_process.piper_process, "__file__", "/nowhere/piper_process.py")
    engine = PiperEngine()
    with pytest.raises(MindError, match="The speech process ended with code 2"):
        await engine.start()
    await engine.close()


async def test_a_process_that_hangs_says_so_and_is_ended(monkeypatch, tmp_path):
    (hanging := tmp_path / "hanging.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr(speech_process.piper_process, "__file__", str(hanging))
    monkeypatch.setattr(speech_process, "_START_SECONDS", 0.2)
    engine = PiperEngine()
    with pytest.raises(MindError, match="has not loaded its voice"):
        await engine.start()
    assert engine._process
    assert await asyncio.wait_for(engine._process.wait(), 20) < 0
    await engine.close()


async def test_a_program_that_hangs_says_so_and_is_ended(monkeypatch, tmp_path):
    (hanging := tmp_path / "espeak-ng").write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(speech_process, "espeak_ng", lambda: str(hanging))
    monkeypatch.setattr(speech_process, "_CLAUSE_SECONDS", 0.5)
    with pytest.raises(MindError, match="has not spoken"):
        async for _ in EspeakEngine().say(Clause("Hello.")):
            pass
    if (tmp_path / "pid").exists():  # a busy machine may not even have begun
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)


def test_piper_is_never_imported_by_the_emulator():
    """It is GPL: only the speech process may."""
    modules = "halfcascade.emulator.minds.local, halfcascade.emulator.minds.local.speech_process"
    code = f"import sys, {modules}; print('piper' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
