"""Bad input, as a person meets it: one line, an exit code, a session folder, no traceback."""

import pytest
from typer.testing import CliRunner

from halfcascade.bot.cli import app
from tests.bot.support import Run, run_bot


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
    assert result.output.startswith("error: speaking_rate: ")
    assert len(result.output.splitlines()) == 1


def test_an_unknown_backend_is_refused_by_the_command_line():
    result = bot("--backend", "amazon")
    assert result.exit_code == 2
    assert "google" in result.output


@pytest.mark.parametrize("arguments", [(), ("talk",), ("demo",), ("devices",), ("doctor",)])
def test_every_command_explains_itself(arguments):
    result = bot(*arguments, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_the_help_names_every_command():
    assert all(command in bot("--help").output for command in ("talk", "demo", "devices", "doctor"))
