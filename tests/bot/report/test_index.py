import json
import sqlite3
import threading

import pytest
from typer.testing import CliRunner

from halfcascade.bot.cli import app
from halfcascade.bot.report.index import INDEX, SessionIndex, spent_this_month
from tests.bot.report.folders import EVENTS, make_folder


def make_talk(root, name, text, *, started="2026-11-20T10:00:00+01:00", usd=0.5, backend="google"):
    events = [
        {**EVENTS[0], "started": started},
        {"t": 0.0, "type": "backend", "backend": backend, "reason": "x"},
        {"t": 1.0, "type": "final", "text": text},
        {"t": 1.1, "type": "turn_sent", "text": text, "turn": 1, "attempt": 1},
        {"t": 62.0, "type": "session_ended", "reason": "Ctrl-C"},
    ]
    folder = make_folder(root / name, events, seconds=0)
    (folder / "metrics.json").write_text(json.dumps({"money": {"usd": usd, "unknown": []}}))
    return folder


@pytest.fixture
def root(tmp_path):
    make_talk(tmp_path, "a", "What is the weather in Lisbon?")
    make_talk(tmp_path, "b", "오늘 날씨가 어때요?", started="2026-11-21T10:00:00+01:00", usd=0.25)
    make_talk(tmp_path, "c", "今日は天気がいいですね", started="2026-10-01T10:00:00+01:00", usd=1.0)
    make_talk(tmp_path, "d", "The weather again", started="2026-10-02T10:00:00+01:00", usd=9.0, backend="emulator")
    (tmp_path / "no session").mkdir()
    return tmp_path


def names(root, query=""):
    with SessionIndex(root) as index:
        index.refresh()
        return [talk.folder.name for talk in index.talks(query)]


def test_all_talks_the_newest_first(root):
    assert names(root) == ["b", "a", "d", "c"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("weather", ["a", "d"]), ("WEATH", ["a", "d"]), ("weather lisbon", ["a"]), ("날씨", ["b"]), ("天気", ["c"]),
        ("nothing", []), ('"', ["b", "a", "d", "c"]), ("NEAR(weather", []), ("weather OR", []), ("a*b:c -x", []),
        ("'; drop table talks; --", []),
    ],
)  # fmt: skip
def test_words_are_found_and_operators_are_words(root, query, found):
    assert names(root, query) == found


def test_a_talk_that_never_began_is_none(root):
    failed = [
        {**EVENTS[0], "started": "2026-09-01T10:00:00+01:00"},
        {"t": 0.0, "type": "error", "message": "No loudspeaker was found.", "source": "bot", "permanent": True},
        {"t": 0.0, "type": "session_ended", "reason": "failed"},
    ]
    make_folder(root / "e", failed, seconds=0)
    assert names(root) == ["b", "a", "d", "c"]
    with SessionIndex(root) as index:
        assert "2026-09" not in [month.month for month in index.months()]


def test_months_count_what_google_billed(root):
    with SessionIndex(root) as index:
        index.refresh()
        months = [(month.month, month.talks, month.usd) for month in index.months()]
    assert months == [("2026-11", 2, 0.75), ("2026-10", 2, 1.0)]
    assert spent_this_month(root, "2026-11") == 0.75
    assert spent_this_month(root / "missing", "2026-11") == 0.0


def test_the_index_is_made_again_when_it_is_missing_broken_or_old(root):
    assert names(root)
    for damage in (
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"no database" * 500),
        lambda path: path.write_bytes(b""),
        lambda path: sqlite3.connect(path).execute("pragma user_version = 99").connection.close(),
        lambda path: sqlite3.connect(path).execute("drop table words").connection.close(),
    ):
        damage(root / INDEX)
        assert names(root, "lisbon") == ["a"]


def test_only_what_changed_is_read_again(root, monkeypatch):
    names(root)
    read = []
    from halfcascade.bot.report import index

    load = index.load_talk

    def watched(folder):
        read.append(folder.name)
        return load(folder)

    monkeypatch.setattr(index, "load_talk", watched)
    assert len(names(root)) == 4
    assert read == []
    with (root / "a" / "events.jsonl").open("a") as file:
        file.write('{"t": 69.0, "type": "turn_started"}\n{"t": 70.0, "type": "final", "text": "Porto"}\n')
    for path in (root / "b").iterdir():
        path.unlink()
    assert names(root, "porto") == ["a"]
    assert read == ["a"]
    assert names(root) == ["a", "d", "c"]


def test_two_terminals_at_once(root):
    found = []
    threads = [threading.Thread(target=lambda: found.append(len(names(root)))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [4] * 6


def test_the_command(root, tmp_path):
    result = CliRunner().invoke(app, ["sessions", "--root", str(root)])
    assert result.exit_code == 0, result.output
    assert "2026-11: 2 talks" in result.output and "$0.75" in result.output
    result = CliRunner().invoke(app, ["sessions", "weather", "lisbon", "--root", str(root)])
    assert "Lisbon" in result.output and "날씨" not in result.output
    result = CliRunner().invoke(app, ["sessions", "--root", str(tmp_path / "missing")])
    assert result.exit_code == 0
    assert "No talks in" in result.output
