"""Bad input, as a person meets it: one line, an exit code, a session folder, no traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[2]
GOOGLE = ("GOOGLE_", "GEMINI_", "SPEECH_", "TEXTTOSPEECH_", "HALFCASCADE_")
FILES = ["conversation.wav", "events.jsonl", "metrics.json", "transcript.md"]


def bot(tmp_path, *arguments, **variables) -> subprocess.CompletedProcess:
    """Run the command line without any credentials but those given."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(GOOGLE)}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "COLUMNS": "200", **variables}
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        capture_output=True, text=True, timeout=120, env=environment, cwd=tmp_path, check=False,
    )  # fmt: skip


def the_error(run: subprocess.CompletedProcess) -> str:
    """The one line that says what is wrong."""
    assert run.returncode != 0
    assert "Traceback" not in run.stdout + run.stderr
    errors = [line for line in run.stdout.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, run.stdout + run.stderr
    return errors[0]


def the_session(folder: Path) -> list[dict]:
    """The events of a complete session folder."""
    assert set(FILES) <= {path.name for path in folder.iterdir()}
    assert soundfile.info(folder / "conversation.wav").channels == 2
    assert json.loads((folder / "metrics.json").read_text())["errors"] >= 1
    assert "error:" in (folder / "transcript.md").read_text()
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert events[-1]["type"] == "session_ended"
    assert any(event["type"] == "error" for event in events)
    return events


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "does not exist"), (b"", "is empty"), (b"no sound", "is not a WAV file")],
)
def test_bad_user_audio(tmp_path, content, words):
    if content is not None:
        (tmp_path / "x.wav").write_bytes(content)
    # Without a command, `talk` is meant.
    run = bot(tmp_path, "--user-audio", "x.wav", "--session", "s")
    assert words in the_error(run)
    the_session(tmp_path / "s")


def test_google_without_credentials(tmp_path):
    run = bot(tmp_path, "talk", "--backend", "google", "--session", "s")
    assert "GOOGLE_API_KEY" in the_error(run)
    the_session(tmp_path / "s")


def test_google_with_a_key_but_without_a_cloud_project_shows_no_key(tmp_path):
    run = bot(tmp_path, "talk", "--backend", "google", "--session", "s", GOOGLE_API_KEY="my-private-key-7")
    assert "gcloud auth application-default login" in the_error(run)
    assert "my-private-key-7" not in run.stdout + run.stderr
    for path in (tmp_path / "s").iterdir():
        assert b"my-private-key-7" not in path.read_bytes()


def test_a_processor_that_cannot_be_loaded(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(1600), 16_000)
    servers = {
        "SPEECH_EMULATOR_HOST": "127.0.0.1:9",
        "TEXTTOSPEECH_EMULATOR_HOST": "127.0.0.1:9",
        "GOOGLE_GEMINI_BASE_URL": "https://127.0.0.1:9",
        "GOOGLE_API_KEY": "any-key",
    }
    run = bot(tmp_path, "--user-audio", "x.wav", "--session", "s", "--processor", "no.such:thing", **servers)
    assert "package.module:factory" in the_error(run)
    the_session(tmp_path / "s")


def test_a_session_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    assert "--session" in the_error(bot(tmp_path, "--session", "file/s"))


def test_a_setting_out_of_range(tmp_path):
    assert "speaking_rate" in the_error(bot(tmp_path, HALFCASCADE_SPEAKING_RATE="9"))


def test_an_unknown_backend_is_refused_by_the_command_line(tmp_path):
    run = bot(tmp_path, "--backend", "amazon")
    assert run.returncode == 2
    assert "google" in run.stdout + run.stderr
    assert "Traceback" not in run.stderr


def test_the_command_line_explains_itself(tmp_path):
    run = bot(tmp_path, "--help")
    assert run.returncode == 0
    assert all(command in run.stdout for command in ("talk", "demo", "devices", "doctor"))
