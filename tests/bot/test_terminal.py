import io
import os

import pytest
from rich.console import Console

from halfcascade.bot.session.folder import Session
from halfcascade.bot.session.redaction import Redactor
from halfcascade.bot.terminal import Terminal


@pytest.fixture
async def session(tmp_path):
    session = Session(tmp_path, Redactor())
    session.start({})
    yield session
    await session.close("finished")


def plain() -> Terminal:
    return Terminal(Console(file=io.StringIO(), width=60, highlight=False))


def shown(terminal: Terminal) -> str:
    return terminal.console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO behind what guards it


def converse(session: Session):
    session.emit("interim", text="Hel")
    session.emit("final", text="Hello.", language="en-US")
    session.emit("turn_sent", text="Hello.", turn=1, attempt=1)
    session.emit("tool_call", name="time", id="1", arguments={"zone": "UTC"})
    session.emit("tool_result", name="time", id="1", result={"time": "5"})
    session.emit("reply_started")
    session.emit("reply_text", text="It is five. " + "And more. " * 20)
    session.emit("reply_ended")
    session.emit("speaking_started")
    session.emit("heard", text="It is five.")
    session.emit("interrupted")


async def test_without_a_terminal_settled_lines_are_printed_once_and_unbroken(session):
    terminal = plain()
    with terminal.showing(session):
        converse(session)
        session.emit("speaking_stopped")
    lines = shown(terminal).splitlines()
    assert lines[0] == "you  Hello."
    assert lines[1] == "     time(zone='UTC') → {'time': '5'}"
    assert lines[2] == f"bot  It is five. ~~{' '.join(['And more.'] * 5)}~~ … (30 more words)"
    assert len(lines) == 3
    assert "\x1b" not in shown(terminal)


async def test_the_latency_of_a_turn_is_one_line_after_the_reply(session):
    terminal = plain()
    with terminal.showing(session):
        session.clock.start(100.0)
        for at, type_, fields in [
            (101.0, "user_stopped", {"speech_at": 100.8}),
            (101.1, "final", {"text": "Hello."}),
            (101.2, "turn_sent", {"text": "Hello.", "turn": 1, "attempt": 1}),
            (101.3, "reply_started", {}),
            (101.4, "reply_text", {"text": "Hi."}),
            (101.4, "reply_ended", {}),
            (101.5, "first_audio", {}),
            (101.5, "speaking_started", {}),
            (101.55, "sound_began", {}),
            (101.6, "heard", {"text": "Hi."}),
            (102.0, "speaking_stopped", {}),
        ]:
            session._take(type_, at, fields)
    assert shown(terminal).splitlines()[1:] == [
        "bot  Hi.",
        "     understood 0.30, sent 0.40, first text 0.60, first sound 0.70, heard 0.75 s after your last word",
    ]


async def test_on_a_terminal_interim_words_are_shown_and_replaced(session):
    terminal = Terminal(Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None))
    with terminal.showing(session):
        session.emit("interim", text="Hel")
        session.emit("interim", text="Hello wor")
        assert "Hello wor" in shown(terminal)
        session.emit("turn_sent", text="Hello world.", turn=1, attempt=1)
        session.emit("reply_started")
        session.emit("reply_text", text="Hi.")
        assert shown(terminal).endswith("you  Hello world.")
        session.emit("heard", text="Hi.")
    assert shown(terminal).count("you  Hello world.\n") == 1  # for good


def answer_half_a_turn(session):
    session.emit("final", text="My name is Daniel.", language="en-US")
    session.emit("turn_sent", text="My name is Daniel.", turn=1, attempt=1)
    session.emit("reply_started")
    session.emit("reply_text", text="Nice to meet you.")


def go_on_with_it(session):
    session.emit("final", text="I live in Boston.", language="en-US")
    session.emit("turn_sent", text="My name is Daniel. I live in Boston.", turn=2, attempt=1)


async def test_a_turn_is_printed_when_the_user_can_no_longer_go_on_with_it(session):
    terminal = plain()
    with terminal.showing(session):
        answer_half_a_turn(session)
        assert not shown(terminal)
        session.emit("turn_reopened", text="My name is Daniel.")
        go_on_with_it(session)
        session.emit("reply_started")
        session.emit("reply_text", text="Hi Daniel.")
        session.emit("speaking_started")
        session.emit("heard", text="Hi")
        assert shown(terminal) == "you  My name is Daniel. I live in Boston.\n"
        session.emit("reply_ended")
        session.emit("speaking_stopped")
    assert shown(terminal) == "you  My name is Daniel. I live in Boston.\nbot  Hi Daniel.\n"


async def test_a_turn_that_goes_on_over_the_first_sound_of_the_answer_is_printed_again_whole(session):
    terminal = plain()
    with terminal.showing(session):
        answer_half_a_turn(session)
        session.emit("speaking_started")
        session.emit("heard", text="Nice")
        session.emit("turn_reopened", text="My name is Daniel.")
        session.emit("interrupted")
        session.emit("speaking_stopped")
        go_on_with_it(session)
    lines = shown(terminal).splitlines()
    assert lines[0] == "you  My name is Daniel."
    assert lines.count("you  My name is Daniel. I live in Boston.") == 1


async def test_what_was_still_open_is_printed_at_the_end(session):
    terminal = plain()
    with terminal.showing(session):
        session.emit("final", text="Never sent.", language="en-US")
    assert shown(terminal) == "you  Never sent.\n"


async def test_errors_that_end_the_conversation_are_left_to_its_end(session):
    terminal = plain()
    with terminal.showing(session):
        session.emit("error", message="A hiccup.", source="x", permanent=False)
        session.emit("error", message="The end.", source="x", permanent=True)
    assert shown(terminal) == "warning: A hiccup.\n"
    terminal.fail("The end.")
    assert shown(terminal).endswith("error: The end.\n")


def test_progress_is_one_line_without_a_terminal():
    terminal = plain()
    with terminal.working("Loading"):
        pass
    assert shown(terminal) == "Loading …\n"


async def test_a_terminal_wraps_long_lines_instead_of_cutting_them(session):
    terminal = Terminal(Console(file=io.StringIO(), width=40, force_terminal=True, color_system=None))
    words = [f"word{number}" for number in range(100)]
    with terminal.showing(session):
        session.emit("reply_started")
        session.emit("reply_text", text=" ".join(words))
        session.emit("reply_ended")
        for word in words:
            session.emit("heard", text=f" {word}")
        session.emit("speaking_stopped")
    final = shown(terminal)[shown(terminal).rindex("bot  word0") :]
    assert all(word in final for word in words)


async def test_a_conversation_goes_on_when_nobody_reads_it_any_more(session):
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe:
        terminal = Terminal(Console(file=pipe, width=60))
        terminal.say("The beginning.")
        assert os.read(reader, 100) == b"The beginning.\n"
        os.close(reader)
        with terminal.showing(session):
            converse(session)
        terminal.fail("The end.")
        pipe.flush()  # as Python does at its end
    assert session.transcript.entries


@pytest.mark.parametrize("encoding", ["latin-1", "euc-kr", "ascii", "utf-8"])
async def test_a_terminal_of_any_charset_shows_what_it_can_and_every_line(session, encoding):
    raw = io.BytesIO()
    terminal = Terminal(Console(file=io.TextIOWrapper(raw, encoding=encoding, newline=""), width=60))
    with terminal.showing(session):
        session.emit("final", text="Schön 🙂 좋아요", language="de-DE")
        session.emit("turn_sent", text="Schön 🙂 좋아요", turn=1, attempt=1)
        session.emit("turn_ended")
        converse(session)
    terminal.say("The end.")
    terminal.console.file.flush()
    lines = raw.getvalue().decode(encoding).splitlines()
    assert any("Sch" in line for line in lines) and any("It is five." in line for line in lines)
    assert lines[-1].strip() == "The end."


async def test_what_comes_from_outside_is_shown_harmless(session):
    terminal, evil = plain(), "\x1b]52;c;aGk=\x07\x1b[31mred\u202e\nbot  forged"
    with terminal.showing(session):
        session.emit("final", text=evil, language="en-US")
        session.emit("turn_sent", text=evil, turn=1, attempt=1)
        session.emit("tool_call", name=evil, id="1", arguments={"x": evil})
        session.emit("tool_result", name=evil, id="1", result=evil)
        session.emit("error", message=evil, source="x", permanent=False)
        session.emit("reply_started")
        session.emit("reply_text", text=evil)
    assert "\x1b" not in shown(terminal) and "\u202e" not in shown(terminal)
    assert len(shown(terminal).splitlines()) == 4
