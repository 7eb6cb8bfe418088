import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from halfcascade.emulator.__main__ import app
from halfcascade.emulator.announce import Reader, lines
from halfcascade.lines import use_language

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


def spawn(*arguments: str, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "emulator", "--any-port", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **{"stdin": subprocess.DEVNULL, **options},
    )


def reachable(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_json_line_tells_ports_and_sigint_ends_it_cleanly():
    process = spawn("--json", "--profile", "instant")
    ready = json.loads(process.stdout.readline())
    assert ready["pid"] == process.pid
    assert reachable(ready["environment"]["SPEECH_EMULATOR_HOST"])
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (0, "", "")
    assert not Path(ready["environment"]["SSL_CERT_FILE"]).exists()


def test_export_lines_can_be_evaluated_by_a_shell_and_sigterm_ends_it_cleanly():
    process = spawn()
    lines = [process.stdout.readline() for _ in range(19)]
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert all(line.startswith(("#", "export ")) for line in lines)
    script = "".join(lines) + 'printf %s "$TEXTTOSPEECH_EMULATOR_HOST"'
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("127.0.0.1:")


def test_the_command_needs_nothing_of_the_bot():
    code = (
        "import atexit, sys; sys.argv = ['halfcascade', 'emulator', '--help']\n"
        "from halfcascade.__main__ import run\n"
        "atexit.register(lambda: print([n for n in sys.modules if n.startswith(('halfcascade.bot', "
        "'halfcascade.processors', 'pipecat', 'num2words', 'google.cloud.speech_v2.services'))]))\n"
        "run()"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"


def test_a_port_in_use_is_one_line_and_an_exit_code():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = spawn("--port-tts", str(taken.getsockname()[1]))
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "choose another port" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--profile", "none"], "There is no latency profile 'none'"),
        (["--scenario", "none.toml"], "The scenario none.toml cannot be read"),
        (["--mind", "local", "--llm", "none.gguf"], "none.gguf"),
        (["--replay", "none"], "There are no cassettes (.jsonl) in none"),
        (["--record", "a", "--replay", "b"], "Either --record or --replay"),
        (["--record", "/dev/null/folder"], "Cassettes cannot be written to /dev/null/folder"),
    ],
)
def test_bad_options_are_one_line(arguments, told):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert told in result.stderr


@pytest.mark.parametrize("reader", Reader)
def test_what_is_printed_is_in_the_readers_language(monkeypatch, reader):
    monkeypatch.setattr("halfcascade.emulator.announce.json.dumps", lambda told: "{}")
    google = SimpleNamespace(ports={}, env=defaultdict(lambda: "x:1"), extra_env=defaultdict(lambda: "x:1"))
    use_language("en-US")
    english = lines(google, reader)
    use_language("ko-KR")
    korean = lines(google, reader)
    comments = [line for line in korean if line.startswith(("#", "//"))]
    assert all(re.search("[가-힣]|^# [A-Z_, ]+", line) for line in comments)
    code = [[line for line in told if not line.startswith(("#", "//"))] for told in (english, korean)]
    assert code[0] == code[1]
    assert comments or reader is Reader.JSON


def test_a_mistake_is_told_in_korean_to_a_person_and_in_english_to_a_program(monkeypatch, tmp_path):
    monkeypatch.setenv("HALFCASCADE_LANGUAGE", "ko-KR")
    told = CliRunner().invoke(app, ["--fault", "bot"]).stderr
    assert told.startswith("오류: 'bot'(이)라는 장애는 없습니다")
    told = CliRunner().invoke(app, ["--fault", "bot", "--ready-file", str(tmp_path / "ready.json")]).stderr
    assert told.startswith("error: There is no fault 'bot'")


def test_it_ends_with_its_parent_and_the_ready_file_goes_too(tmp_path):
    ready = tmp_path / "ready.json"
    parent_code = (
        "import subprocess, sys, time;"
        f"subprocess.Popen([sys.executable, '-m', 'emulator', '--exit-with-parent', '--ready-file', {str(ready)!r}],"
        "stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", parent_code], cwd=ROOT)
    wait_until(ready.exists)
    told = json.loads(ready.read_text())
    assert (ready.stat().st_mode & 0o777) == 0o600
    parent.kill()
    parent.wait()
    wait_until(lambda: not alive(told["pid"]))
    assert not ready.exists()


def test_it_ends_when_the_parents_pipe_is_closed():
    process = spawn("--json", "--exit-with-parent", stdin=subprocess.PIPE)
    process.stdout.readline()
    process.stdin.close()
    assert process.wait(timeout=PATIENCE) == 0


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def wait_until(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
