"""A user's own names beside ours: files and folders called as our rooms are called in the checkout."""

import sys
from pathlib import Path

import pytest

from tests.install.conftest import Installed, run

ROOMS = ("bot", "processors", "transports", "emulator", "package", "tests", "examples", "bench")

PROGRAMS = {
    "bot": "from halfcascade.bot.pipeline import build_pipeline",
    "processors": "from halfcascade.processors.gemini_live import GeminiLiveTextProcessor",
    "transports": "from halfcascade.transports.wav import WavTransport",
    "emulator": "from halfcascade.emulator.server import GoogleEmulator",
}


@pytest.fixture(params=["here", pytest.param("wheel", marks=pytest.mark.slow)])
def installed(request) -> Installed:
    """This environment, which has the checkout, or one of its own that has the wheel."""
    if request.param == "here":
        return Installed(Path(sys.executable))
    return request.getfixturevalue("environment")("bot", "pytest")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_users_modules_of_those_names_hide_nothing(installed, tmp_path, kind):
    for room in PROGRAMS:
        if kind == "folder":
            (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py" if kind == "folder" else tmp_path / f"{room}.py").touch()
    program = tmp_path / ("bot.py" if kind == "file" else "app.py")  # bot.py is what Pipecat's own quick start runs
    program.write_text("\n".join([*PROGRAMS.values(), "print('works')"]))
    done = run(installed.python, program.name, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "works", done.stdout


def test_commands_run_beside_modules_of_those_names(installed, tmp_path):
    for room in PROGRAMS:
        (tmp_path / f"{room}.py").write_text("raise SystemExit('the wrong module')")
    done = run(installed.python, "-m", "halfcascade", "emulator", "--help", cwd=tmp_path)
    assert done.returncode == 0 and "Usage:" in done.stdout, done.stdout


def test_pytest_runs_in_a_project_with_a_package_of_that_name(installed, tmp_path):
    for room in PROGRAMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    (tmp_path / "test_x.py").write_text(
        "import sys\n"
        "import bot, emulator, processors, transports\n"
        "def test_own():\n"
        "    assert 'halfcascade' not in emulator.__file__\n"
        "    assert not {'grpc', 'pipecat', 'numpy'} & set(sys.modules)  # the plug-in loads nothing by itself\n"
    )
    done = run(installed.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", ".", cwd=tmp_path)
    assert "1 passed" in done.stdout, done.stdout


# What a console script sees: the folder where the person is is not on the path.
LOAD = """
import sys
sys.path = [entry for entry in sys.path if entry]
from halfcascade.bot.pipeline import load_processor
try:
    print(type(load_processor("bot:make")).__name__)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("from pipecat.processors.frame_processor import FrameProcessor as make", "FrameProcessor"),
        (
            "from processors.frames import DuckFrame",
            "ConfigurationError: --processor bot:make cannot be loaded (No module named 'processors'): "
            "import halfcascade.processors instead.",
        ),
    ],
)
def test_a_processor_comes_from_the_users_own_folder(installed, tmp_path, lines, said):
    (tmp_path / "bot.py").write_text(f"{lines}\n")
    done = run(installed.python, "-c", LOAD, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == said, done.stdout


@pytest.mark.slow
def test_the_wheel_puts_no_other_name_on(environment, tmp_path):
    program = f"import importlib.util as u; print([name for name in {ROOMS} if u.find_spec(name)])"
    assert run(environment("bot", "pytest").python, "-c", program, cwd=tmp_path).stdout.strip() == "[]"
