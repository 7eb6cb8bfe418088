"""Bad input, as a person meets it: one line, an exit code, a session folder, no traceback."""

import pytest
from typer.testing import CliRunner

import halfcascade
from halfcascade.bot.cli import app
from halfcascade.processors.gemini_live.protocol.models import LIVE_MODELS
from tests.bot.support import Run, run_bot, start_bot


def bot(*arguments: str):
    """Run the command line within this process: for what fails before anything is loaded."""
    return CliRunner().invoke(app, arguments)


def has_told_all(run: Run) -> None:
    """The session folder of a failed run is complete and says what failed."""
    assert run.events[-1]["type"] == "session_ended"
    assert run.of_type("error")
    assert run.metrics["errors"] >= 1
    assert "error:" in run.transcript


async def test_bad_user_audio(tmp_path):
    # Without a command, `talk` is meant.
    run = await run_bot(tmp_path, "--user-audio", "missing.wav")
    assert "missing.wav does not exist" in run.error
    has_told_all(run)


async def test_a_session_folder_named_twice(tmp_path):
    first = await run_bot(tmp_path, "--user-audio", "first.wav")
    second = await run_bot(tmp_path, "--user-audio", "second.wav")
    assert "s holds an earlier session, so this one goes to s-2." in second.output
    assert second.output.rstrip().endswith("Session folder: s-2")
    assert "first.wav" in first.transcript and "second.wav" not in first.transcript
    second.folder = tmp_path / "s-2"
    assert "second.wav" in second.transcript
    has_told_all(second)


async def test_google_without_credentials(tmp_path):
    run = await run_bot(tmp_path, "talk", "--backend", "google")
    assert "GOOGLE_API_KEY" in run.error
    has_told_all(run)


async def test_google_with_a_key_but_without_a_cloud_project_shows_no_key(tmp_path):
    (tmp_path / ".env").write_text("GOOGLE_API_KEY=my-private-key-7\n")
    run = await run_bot(tmp_path, "talk", "--backend", "google")
    assert "gcloud auth application-default login" in run.error
    assert "my-private-key-7" not in run.output
    for path in run.folder.iterdir():
        assert b"my-private-key-7" not in path.read_bytes()
    has_told_all(run)


def test_a_session_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    result = bot("--session", str(tmp_path / "file" / "s"))
    assert result.exit_code == 1
    assert "--session" in result.output
    assert "Traceback" not in result.output


def test_a_setting_out_of_range(monkeypatch):
    monkeypatch.setenv("HALFCASCADE_SPEAKING_RATE", "9")
    result = bot()
    assert result.exit_code == 2
    assert result.output.startswith("error: HALFCASCADE_SPEAKING_RATE: ")
    assert len(result.output.splitlines()) == 1


def test_an_unknown_backend_is_refused_by_the_command_line():
    result = bot("--backend", "amazon")
    assert result.exit_code == 2
    assert "google" in result.output


COMMANDS = ("talk", "demo", "devices", "doctor", "settings", "voices", "models", "emulator")


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("arguments", [(), *((command,) for command in COMMANDS)])
def test_every_command_explains_itself(arguments, option):
    result = bot(*arguments, option)
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_the_help_names_every_command():
    assert all(command in bot("--help").output for command in COMMANDS)


def test_the_help_tells_defaults(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    output = bot("talk", "--help").output
    assert all(f"(default: {value})" in output for value in ("auto", "en-US", "Charon", "gemini-3.8-live"))


def test_the_version_is_told():
    assert bot("--version").output == f"halfcascade {halfcascade.__version__}\n"


def test_a_mistyped_command_is_told_with_the_nearest():
    result = bot("tlak")
    assert result.exit_code == 2
    assert "talk" in result.output


def test_voices_and_models_are_listed():
    voices, models = bot("voices", "--language", "ko-KR"), bot("models")
    assert voices.exit_code == models.exit_code == 0
    assert all(name in voices.output for name in ("Kore", "Charon", "th-TH", "--language ko-KR"))
    assert all(row.family in models.output for row in LIVE_MODELS)


# A trap springs in the middle of loading, as Ctrl-C does in the first second.
TRAP = """
import os, signal, sys
class Trap:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
MODULE = sys.argv.pop(1)
sys.meta_path.insert(0, Trap())
from halfcascade.__main__ import run
run()
"""


@pytest.mark.parametrize(
    "module", ["halfcascade.bot.cli", "typer", "pydantic_settings", "halfcascade.bot.desk", "pipecat.frames.frames"]
)
async def test_ctrl_c_while_it_loads_is_no_traceback(tmp_path, module):
    process = await start_bot(tmp_path, module, "--user-audio", "x.wav", program=("-c", TRAP))
    output = (await process.communicate())[0].decode()
    assert process.returncode in (0, 1, 130)
    assert "Traceback" not in output
    assert len(output.splitlines()) <= 2, output


async def test_an_error_while_networks_load_is_one_line_and_no_crash(tmp_path):
    process = await start_bot(tmp_path, "serve", "--backend", "google", "--port", "0")
    output = (await process.communicate())[0].decode()
    assert output.splitlines()[-1].startswith("error: No "), output
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("line", "offered"),
    [("halfcascade ", "replay"), ("halfcascade se", "serve"), ("halfcascade talk --lang", "--language")],
)
def test_a_shell_completes_commands_and_options(monkeypatch, line, offered):
    words = line.split(" ")
    for name, value in {
        "_HALFCASCADE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }.items():
        monkeypatch.setenv(name, value)
    assert offered in CliRunner().invoke(app, [], prog_name="halfcascade").output.split()
