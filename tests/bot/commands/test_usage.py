import re

import pytest
import typer
from rich.cells import cell_len
from typer.testing import CliRunner

from halfcascade.bot.cli import app
from halfcascade.lines import use_language

COMMANDS = sorted(typer.main.get_group(app).commands)
MISTAKES = ["--nope", "talk --langage ko", "talk --zzz", "tlak", "zzz", "talk --budget x", "talk --backend x", "report"]
MISTAKES += [
    "report a b",
    "talk --budget",
    "emulator --nope",
    "emulator --mind bot",
    "emulator x",
    "sessions --limit 0",
    "sessions --limit x",
    "talk --verbose=1",
]


def run(line: str, monkeypatch, language: str = "", columns: int = 80):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("HALFCASCADE_LANGUAGE", language or "en-US")
    try:
        return CliRunner().invoke(app, line.split(), prog_name="halfcascade")
    finally:
        use_language("en-US")


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("language", ["en-US", "ko-KR"])
def test_help_fits_any_terminal_in_the_language(monkeypatch, language, columns):
    for command in ("", *COMMANDS):
        result = run(f"{command} --help", monkeypatch, language, columns)
        assert result.exit_code == 0
        lines = result.output.splitlines()
        assert max(map(cell_len, lines)) <= columns, command
        assert "…" not in result.output and "{" not in lines[0]
        if language == "ko-KR":
            assert lines[0].startswith("사용법: ")
            assert not re.search(r"[a-z]{3,} [a-z]{3,} [a-z]{3,}", re.sub(r"<.*?>|`.*?`", "", result.output)), command


@pytest.mark.parametrize("language", ["en-US", "ko-KR"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_line_of_the_language(monkeypatch, mistake, language):
    result = run(mistake, monkeypatch, language)
    assert result.exit_code == 2 and result.stdout == ""
    told, *usage = result.stderr.splitlines()
    assert told.startswith("error: " if language == "en-US" else "오류: ")
    assert len(usage) <= 2 and "Traceback" not in result.stderr
    if language == "ko-KR":
        assert not re.search(r"[a-z]{3,} [a-z]{3,}", re.sub(r"'.*?'|`.*?`", "", told)), told
        assert re.search("[가-힣]", told)


def test_a_typo_is_answered_with_what_was_meant(monkeypatch):
    assert "'talk'" in run("tlak", monkeypatch).stderr
    assert "--language" in run("talk --langage ko", monkeypatch).stderr
