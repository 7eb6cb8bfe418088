"""say, hear and ask as a person runs them, against the emulator."""

import asyncio
import io
import signal
import struct
import sys

import numpy as np
import pytest
import soundfile

from halfcascade.bot.commands.stdin import read_stdin
from halfcascade.emulator.server import GoogleEmulator
from halfcascade.processors.errors import ConfigurationError
from tests.bot.support import DATA, environment, recording, recordings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORY = "Once upon a time there was an old clock. " + "It ticked on and on. " * 100
SCENARIO = {
    "recordings": recordings_for("weather"),
    "replies": [{"match": "story", "text": STORY}, {"match": "name", "text": "You are \x1b]0;x\x07Dana."}],
}


@pytest.fixture(scope="module")
async def google():
    async with GoogleEmulator(scenario=SCENARIO, profile="reference") as emulator:
        yield emulator


async def start(google, home, *arguments):
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", *arguments, "--backend", "google", cwd=home, env=environment(home, **google.env),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def run(google, home, *arguments, given=b""):
    process = await start(google, home, *arguments)
    out, err = await asyncio.wait_for(process.communicate(given), 60)
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("options", [(), pytest.param(("--batch",), marks=pytest.mark.slow)])
async def test_say_writes_a_file(google, tmp_path, options):
    code, out, err = await run(google, tmp_path, "say", "Hello there.", "--out", "x.wav", *options)
    assert (code, out) == (0, ""), err
    samples, rate = soundfile.read(tmp_path / "x.wav")
    assert rate == 24_000
    assert len(samples) > rate / 2


@pytest.mark.slow
async def test_say_without_a_loudspeaker_or_a_text_is_one_line(google, tmp_path):
    for arguments in (("say", "Hello."), ("say", "-", "--out", "x.wav"), ("say", "Hello.", "--out", "no/x.wav")):
        code, _, err = await run(google, tmp_path, *arguments)
        assert code == 1
        assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1, err
        assert "Traceback" not in err


async def test_hear_prints_words_with_their_times(google, tmp_path):
    code, out, err = await run(google, tmp_path, "hear", str(DATA / recording("weather")["file"]))
    assert code == 0, err
    lines = out.splitlines()
    assert any("…" in line for line in lines)
    start, end, *words = lines[-1].split()
    assert 0.0 <= float(start) < float(end) < 5.0
    assert "morning" in " ".join(words).lower()


@pytest.mark.slow
async def test_hear_takes_standard_input(google, tmp_path):
    sound = (DATA / recording("weather")["file"]).read_bytes()
    code, out, err = await run(google, tmp_path, "hear", "-", "--finals", given=sound)
    assert code == 0, err
    assert "what will the weather be like tomorrow morning" in out.lower()
    assert "…" not in out


async def test_ask_answers_and_is_harmless(google, tmp_path):
    code, out, err = await run(google, tmp_path, "ask", "What is my name?")
    assert code == 0, err
    assert out.strip() == "You are Dana."


@pytest.mark.slow
async def test_ask_without_a_text_is_a_conversation(google, tmp_path):
    code, out, err = await run(google, tmp_path, "ask", given=b"What is my name?\n\nMy name again?\n")
    assert code == 0, err
    assert out.count("You are Dana.") == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_ctrl_c_interrupts_the_answer_and_not_the_conversation(google, tmp_path):
    process = await start(google, tmp_path, "ask")
    process.stdin.write(b"Tell me a story.\n")
    first = await asyncio.wait_for(process.stdout.readexactly(60), 60)
    process.send_signal(signal.SIGINT)
    process.stdin.write(b"What is my name?\n")
    process.stdin.write_eof()
    out, err = await asyncio.wait_for(process.communicate(), 60)
    told = (first + out).decode()
    assert process.returncode == 0, err
    assert told.startswith("Once upon a time")
    assert len(told) < len(STORY) / 2
    assert "You are Dana." in told


async def read(content: bytes) -> np.ndarray:
    return np.frombuffer(b"".join([chunk async for chunk in read_stdin(io.BytesIO(content))]), dtype="<i2")


def wav(samples: np.ndarray, rate: int, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format="WAV")
    return file.getvalue()


TONE = (8_000 * np.sin(np.arange(4_800) / 20)).astype(np.int16)


async def test_standard_input_of_any_rate_and_channels():
    for rate, channels in ((16_000, 1), (48_000, 1), (48_000, 2), (8_000, 1)):
        given = wav(np.stack([TONE] * channels, axis=1), rate)
        # A recorder that writes to a pipe leaves the lengths open.
        opened = given[:4] + struct.pack("<I", 0xFFFFFFFF) + given[8:]
        for content in (given, opened):
            heard = await read(content)
            assert len(heard) == pytest.approx(len(TONE) * 16_000 / rate, abs=200)
            assert np.abs(heard[300:-300]).max() == pytest.approx(8_000, rel=0.05)


async def test_bare_pcm_and_odd_ends():
    assert (await read(TONE.tobytes() + b"\x01") == TONE).all()
    assert len(await read(b"")) == 0


async def test_what_is_no_pcm_is_one_line():
    for content in (wav(TONE / 32768, 16_000, "FLOAT"), b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0abcd"):
        with pytest.raises(ConfigurationError, match="Standard input"):
            await read(content)
