"""Programs that know nothing of the emulator, run unchanged against it."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

import halfcascade.emulator
from halfcascade.emulator.server import GoogleEmulator

SAMPLES = Path(__file__).parent / "samples"
GREETING = Path(__file__).parents[1] / "data" / "greeting.wav"
SCENARIO = {
    "recordings": [{"index": str(GREETING.with_name("recordings.json"))}],
    "replies": [{"text": "Yes, I am here."}],
}


async def run_sample(google: GoogleEmulator, name: str, *arguments: str) -> str:
    redirect = Path(halfcascade.emulator.__file__).parent / "redirect"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SAMPLES / name),
        *arguments,
        env={**os.environ, **google.env, "PYTHONPATH": str(redirect)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, complaint.decode()
    return output.decode()


@pytest.fixture
async def google():
    async with GoogleEmulator(scenario=SCENARIO) as google:
        yield google


async def test_a_speech_sample_is_understood(google):
    heard = await run_sample(google, "transcribe.py", str(GREETING))
    assert " ".join(heard.lower().replace(",", "").split()) == "hello my name is daniel and i live in boston"


async def test_a_voice_sample_is_spoken(google):
    assert int(await run_sample(google, "speak.py")) > 24_000  # half a second of 24 kHz 16-bit audio


async def test_a_live_sample_is_answered(google):
    assert await run_sample(google, "converse.py") == "Yes, I am here."
