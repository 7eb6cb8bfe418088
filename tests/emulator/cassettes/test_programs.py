"""Whole programs with Google's own clients, recorded and played: every version, transport and kind of turn."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.clients.__main__ import CLIENTS, PROGRAMS, REDIRECT, SCENARIO
from halfcascade.emulator.cassettes.player import Player
from halfcascade.emulator.cassettes.recorder import Recorder
from halfcascade.emulator.cassettes.upstream import Upstream
from halfcascade.emulator.server import GoogleEmulator

ROOT = Path(__file__).parents[3]
# Given out once, and not told in a recording: what is done with an ephemeral token cannot be played.
NOT_PLAYED = {"ephemeral token"}


async def run(name: str, served: Any) -> list[dict[str, Any]]:
    client = next(client for client in CLIENTS if client.name == name)
    environment = {**os.environ, **served.extra_env, **served.env, "PYTHONPATH": str(REDIRECT)}
    environment["CLIENTS_WAV"] = str(ROOT / "tests" / "data" / "greeting.wav")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        PROGRAMS / client.program,
        env=environment,
        cwd=PROGRAMS,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaint = await asyncio.wait_for(process.communicate(), 180)
    cases = [json.loads(line) for line in out.decode().splitlines() if line.startswith("{")]
    assert cases, complaint.decode()
    return cases


@pytest.mark.slow
@pytest.mark.parametrize("name", ["google-genai", "google-cloud-speech, -texttospeech"])
async def test_a_program_is_recorded_and_played(tmp_path: Path, name: str) -> None:
    async with GoogleEmulator(scenario=SCENARIO) as google:
        environment = {**google.env, "GOOGLE_VERTEX_BASE_URL": google.extra_env["GOOGLE_VERTEX_BASE_URL"]}
        async with Recorder(tmp_path, Upstream(environment)) as recorder:
            cases = await run(name, recorder)
    assert [case for case in cases if not case["ok"]] == []
    async with Player(tmp_path, speed=0.0) as player:
        cases = await run(name, player)
    assert [case for case in cases if not case["ok"] and case["case"] not in NOT_PLAYED] == []
