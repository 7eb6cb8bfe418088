"""A saved talk is the same when it is run again, and worse when the code is."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.regressions import PLANTS, SCENE, TALK, measure
from halfcascade.bot.cli import app
from halfcascade.bot.replay.talk import assert_replay_no_worse
from halfcascade.bot.replay.tape import Tape
from halfcascade.bot.report.saved import load_talk
from halfcascade.bot.session.names import EVENTS, SERVICES, SERVICES_AUDIO
from halfcascade.bot.session.transcript import BotSaid, UserSaid
from halfcascade.processors.errors import ConfigurationError
from tests.bot.support import ROOT


def words(folder: Path) -> list[tuple[str, str, str]]:
    entries = [said.entry for said in load_talk(folder).said]
    users = [("user", entry.text, "") for entry in entries if isinstance(entry, UserSaid)]
    return users + [("bot", entry.text, entry.heard_text) for entry in entries if isinstance(entry, BotSaid)]


def stages(folder: Path) -> list[dict[str, int]]:
    return [turn.stages_ms() for turn in load_talk(folder).metrics.turns]


def test_a_talk_that_is_kept_has_not_become_worse(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["replay", str(TALK), "--session", str(tmp_path / "again")])
    assert done.exit_code == 0, done.output
    assert "4 turns in both; 0 worse" in " ".join(done.output.split())
    assert [text for who, text, _ in words(tmp_path / "again") if who == "user"] == [text for _, text, _ in SCENE]
    assert [turn.interrupted for turn in load_talk(tmp_path / "again").metrics.turns] == [False, True, False, False]


@pytest.mark.slow
def test_the_same_code_gives_the_same_talk(tmp_path):
    first = assert_replay_no_worse(TALK, tmp_path / "first").folder
    again = [sys.executable, "-m", "bot", "replay", str(first), "--session", str(tmp_path / "again")]
    done = subprocess.run(
        again, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "4 turns in both; 0 worse, 0 better, 0 other." in done.stdout, done.stdout
    assert words(tmp_path / "again") == words(first)
    before, after = stages(first), stages(tmp_path / "again")
    assert [set(turn) for turn in before] == [set(turn) for turn in after]
    assert all(abs(new[name] - ms) <= 5 for old, new in zip(before, after, strict=True) for name, ms in old.items())


@pytest.mark.slow
@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS.keys())
def test_what_was_made_worse_is_found(plant):
    assert measure(TALK, plant)


def test_what_a_killed_talk_left_is_read(tmp_path):
    folder = shutil.copytree(TALK, tmp_path / "talk")
    lines = (folder / SERVICES).read_bytes()
    (folder / SERVICES).write_bytes(b"nonsense\n[1]\n" + lines[:-40])
    tape = Tape(folder)
    assert len(tape.lines("ears")) >= 3 and len(tape.user) > 5 * 16_000
    (folder / SERVICES_AUDIO).write_bytes((folder / SERVICES_AUDIO).read_bytes()[:20_000])
    assert len(Tape(folder).user) < len(tape.user)


@pytest.mark.parametrize("missing", [SERVICES, SERVICES_AUDIO, EVENTS])
def test_a_folder_that_does_not_hold_it_is_told_in_one_line(tmp_path, missing):
    folder = shutil.copytree(TALK, tmp_path / "talk")
    (folder / missing).unlink()
    done = CliRunner().invoke(app, ["replay", str(folder), "--services", "recorded", "--session", str(tmp_path / "x")])
    assert done.exit_code == 2 and "Traceback" not in done.output
    assert [line for line in done.output.splitlines() if line.startswith("error: ")] == done.output.splitlines()[-1:]


def test_nothing_of_the_user_is_nothing_to_play(tmp_path):
    folder = shutil.copytree(TALK, tmp_path / "talk")
    kept = [line for line in (folder / SERVICES).read_text().splitlines() if json.loads(line)["kind"] != "user"]
    (folder / SERVICES).write_text("\n".join(kept))
    with pytest.raises(ConfigurationError, match="nothing to play"):
        Tape(folder)
