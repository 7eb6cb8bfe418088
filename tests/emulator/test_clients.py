"""The quick half of ``make clients``: the programs of clients that are installed here anyway, and the page's tables."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.clients.__main__ import BEGIN, CLIENTS, END, PAGE, PROGRAMS, REDIRECT, SCENARIO
from halfcascade.emulator.background import BackgroundEmulator
from halfcascade.emulator.bugs import BUGS

ROOT = Path(__file__).parents[2]
RUNNERS = {"py": sys.executable, "sh": "/bin/bash"}


@pytest.mark.parametrize("name", ["google-genai", "google-cloud-speech, -texttospeech", "curl"])
def test_a_client_works(name: str) -> None:
    client = next(client for client in CLIENTS if client.name == name)
    if name == "curl" and shutil.which("curl") is None:
        pytest.skip("there is no curl")
    with BackgroundEmulator(scenario=SCENARIO, lead_clients=False) as emulator:
        environment = {**os.environ, **emulator.google.extra_env, **emulator.env, "PYTHONPATH": str(REDIRECT)}
        environment["CLIENTS_WAV"] = str(ROOT / "tests" / "data" / "greeting.wav")
        done = subprocess.run(
            [RUNNERS[client.kind], PROGRAMS / client.program],
            env=environment,
            cwd=PROGRAMS,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    cases = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert cases, done.stderr
    assert [case for case in cases if not case["ok"]] == []


def test_the_pages_table_holds_every_client_and_every_case() -> None:
    page = PAGE.read_text(encoding="utf-8")
    table = page.partition(BEGIN)[2].partition(END)[0]
    for client in CLIENTS:
        (row,) = [line for line in table.splitlines() if line.startswith(f"| {client.name} |")]
        program = (PROGRAMS / client.program).read_text(encoding="utf-8")
        patterns = {"py": r'^@case\("(.+)"\)', "sh": r'^try "(.+?)" ', "mjs": r"^  '?([\w ./-]+?)'?: async "}
        cases = re.findall(patterns[client.kind], program, re.MULTILINE)
        assert cases
        works = row.partition("**Not**")[0]
        assert [case for case in cases if case not in works] == []


def test_the_pages_table_holds_every_named_fault() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for bug in BUGS.values():
        assert f"| [`{bug.name}`]({bug.link}) | {bug.about} |" in page


def test_the_start_up_script_of_the_container(tmp_path: Path) -> None:
    (tmp_path / "scenario.toml").write_text('default_reply = "From the container."')
    ready = tmp_path / "ready.json"
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TLS_FOLDER": str(tmp_path / "tls"),
        "TLS_PORT": "0",
        "SCENARIO": str(tmp_path / "scenario.toml"),
        "BUCKETS": str(tmp_path),
    }
    script = [str(ROOT / "emulator" / "start.sh"), "--ready-file", str(ready)]
    process = subprocess.Popen(["/bin/sh", *script], env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 60
        while not ready.exists() and time.monotonic() < until and process.poll() is None:
            time.sleep(0.05)
        told = json.loads(ready.read_text())
        assert "tls" in told["ports"]
        assert told["environment"]["SPEECH_EMULATOR_HOST"].startswith("emulator:")
        bundle = tmp_path / "tls" / "bundle.pem"
        body = '{"contents":[{"parts":[{"text":"hello"}]}]}'
        answer = subprocess.run(
            [
                *("curl", "-sS", "--cacert", bundle, "--resolve", f"emulator:{told['ports']['tls']}:127.0.0.1"),
                *("-H", "x-goog-api-key: k", "-d", body),
                f"https://emulator:{told['ports']['tls']}/v1/models/gemini-3.8-flash:generateContent",
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert "From the container." in answer.stdout
        assert (tmp_path / "tls" / "credentials.json").exists()
    finally:
        process.terminate()
        process.wait(30)


def test_compose_and_image_name_files_that_exist() -> None:
    for name in ("Dockerfile", "compose.yaml", "start.sh"):
        assert (ROOT / "emulator" / name).exists()
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "emulator" / "Dockerfile").read_text(), re.MULTILINE)
    for name in " ".join(copied).split():
        assert (ROOT / name).exists()
