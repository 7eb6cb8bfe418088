"""What the base install can do, in this environment with the extras' packages hidden: quick, so that CI runs it."""

import sys

import pytest

from tests.install.conftest import run

# Packages that only an extra brings; whatever imports one without need breaks the base install.
HIDDEN = """
import sys
NAMES = ("pipecat", "num2words", "icu4py", "pyaudio", "pywebrtc_audio", "onnxruntime", "google.genai", "lameenc",
         "aiortc", "textual", "prometheus_client", "mcp", "numba", "fastapi", "moonshine_voice", "xllamacpp")
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
        (("talk",), 1, "error: Talking needs "),
        (("doctor",), 1, "fail  This needs the package pipecat: run "),
        (("report", "talk"), 1, "error: The report needs pipecat-ai"),
        (("sessions",), 1, "error: The list of talks needs pipecat-ai"),
        (("diff", "one", "other"), 1, "error: The comparison of talks needs pipecat-ai"),
        (("devices",), 1, "error: This needs the package pyaudio: "),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_the_command_line_runs_without_any_extra(tmp_path, arguments, code, said):
    done = run(sys.executable, "-c", HIDDEN, *arguments, cwd=tmp_path)
    assert "Traceback" not in done.stdout, done.stdout
    assert said in done.stdout and done.returncode == code, done.stdout
