import pytest

from halfcascade.bot.report.saved import load_talk
from halfcascade.bot.session.transcript import BotSaid, UserSaid
from halfcascade.processors.errors import ConfigurationError
from tests.bot.report.folders import EVENTS, make_folder


def test_words_stand_beside_their_sound(tmp_path):
    talk = load_talk(make_folder(tmp_path / "s"))
    user, bot = (next(said for said in talk.said if isinstance(said.entry, kind)) for kind in (UserSaid, BotSaid))
    assert [word.text.strip() for word in user.words] == ["What", "time", "is", "it?"]
    assert user.words[0].t == 1.0
    assert all(1.0 <= word.t < 2.0 for word in user.words)
    assert [(word.t, word.text) for word in bot.words] == [(3.0, "It"), (3.2, " is"), (3.4, " ten")]
    assert (talk.reason, talk.problems[1:]) == ("Ctrl-C", [])


def test_a_final_that_covers_two_stretches_of_speech_skips_the_pause(tmp_path):
    events = [
        {"t": 1.2, "type": "user_started", "speech_at": 1.0},
        {"t": 2.2, "type": "user_stopped", "speech_at": 2.0},
        {"t": 5.2, "type": "user_started", "speech_at": 5.0},
        {"t": 6.2, "type": "user_stopped", "speech_at": 6.0},
        {"t": 6.3, "type": "final", "text": "aaa bbb ccc ddd"},
    ]
    (user,) = load_talk(make_folder(tmp_path / "s", events)).said
    assert [word.t for word in user.words] == [1.0, 1.5, 5.0, 5.5]


@pytest.mark.parametrize(
    "line",
    [
        b"{", b"[]", b"null", b'"x"', b"17", b"{}", b'{"t": 1}', b'{"t": "x", "type": "final"}',
        b'{"t": 1, "type": []}',
        b"\xff\xfe\x00", b'{"t": 2.0, "type": "final"', b"[" * 5_000, b'{"t": 1.0, "type": "final"}',
        b'{"t": 1.0, "type": "from_the_future", "x": 1}', b'{"t": 1.0, "type": "heard", "text": 7}',
        b'{"t": NaN, "type": 1}',
    ],
)  # fmt: skip
def test_a_line_that_makes_no_sense_costs_itself_alone(tmp_path, line):
    folder = make_folder(tmp_path / "s")
    lines = (folder / "events.jsonl").read_bytes().splitlines()
    (folder / "events.jsonl").write_bytes(b"\n".join([*lines[:20], line, *lines[20:]]) + b"\n")
    talk = load_talk(folder)
    assert len(talk.said) == 5
    assert len(talk.metrics.turns) == 2


def test_a_talk_that_was_killed_says_so(tmp_path):
    folder = make_folder(tmp_path / "s", EVENTS[:-8])
    with (folder / "events.jsonl").open("ab") as file:
        file.write(b'{"t": 9.0, "type": "fin')
    talk = load_talk(folder)
    assert any("ended from outside" in problem for problem in talk.problems)
    assert any("1 line of events.jsonl" in problem for problem in talk.problems)


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_what_is_no_session_folder_is_one_line(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=name) as raised:
        load_talk(tmp_path / name)
    assert "\n" not in str(raised.value)
