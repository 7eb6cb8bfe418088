"""What the base install can do, in this environment with the extras' packages hidden: quick, so that CI runs it."""

import socket
import sys

import pytest

from tests.install.conftest import run

# Packages that only an extra brings; whatever imports one without need breaks the base install.
OF_TALK = ("pyaudio", "pywebrtc_audio", "textual", "moonshine_voice", "xllamacpp")
OF_ANY = (
    *OF_TALK, "pipecat", "num2words", "icu4py", "onnxruntime", "google.genai", "lameenc", "aiortc", "prometheus_client",
    "mcp", "numba", "fastapi",
)  # fmt: skip
HIDDEN = """
import sys
NAMES = sys.argv.pop(1).split()
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if any(name == hidden or name.startswith(hidden + ".") for hidden in NAMES):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
from halfcascade.__main__ import run
run()
"""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("settings",), 0, "HALFCASCADE_LANGUAGE"),
        (("emulator", "--help"), 0, "Usage:"),
        (("talk",), 1, "error: Talking over microphone and loudspeaker needs pipecat-ai, "),
        (("demo",), 1, "error: Talking needs pipecat-ai, google-genai, onnxruntime, moonshine-voice, xllamacpp, not "),
        (("doctor",), 1, "fail  This needs the package pipecat: run "),
        (("report", "talk"), 1, "error: The report needs pipecat-ai"),
        (("sessions",), 1, "error: The list of talks needs pipecat-ai"),
        (("diff", "one", "other"), 1, "error: The comparison of talks needs pipecat-ai"),
        (("devices",), 1, "error: This needs the package pyaudio: "),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_the_command_line_runs_without_any_extra(tmp_path, arguments, code, said):
    done = run(sys.executable, "-c", HIDDEN, " ".join(OF_ANY), *arguments, cwd=tmp_path)
    assert "Traceback" not in done.stdout, done.stdout
    assert said in done.stdout and done.returncode == code, done.stdout


def test_a_server_needs_nothing_of_a_desk(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        arguments = ("serve", "--backend", "google", "--port", str(taken.getsockname()[1]))
        done = run(sys.executable, "-c", HIDDEN, " ".join(OF_TALK), *arguments, cwd=tmp_path)
    assert "Traceback" not in done.stdout, done.stdout
    assert "cannot be served" in done.stdout and "choose another with --port" in done.stdout


def test_a_recording_from_standard_input_needs_nothing_of_a_desk(tmp_path):
    program = HIDDEN.replace("from halfcascade.__main__ import run\nrun()", "import halfcascade.bot.commands.stdin")
    done = run(sys.executable, "-c", program, " ".join(OF_TALK), cwd=tmp_path)
    assert done.returncode == 0, done.stdout
