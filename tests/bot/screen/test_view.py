import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from halfcascade.bot.reply_line import unheard
from halfcascade.bot.screen.view import Levels, View, line_of
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.session.redaction import Redactor
from halfcascade.bot.session.transcript import BotSaid, ToolUsed, UserSaid


def view(**options) -> View:
    hub = EventHub(Redactor())
    made = View(hub, Levels(), **options)
    hub.listen(made.apply)
    return made


async def test_levels_rise_at_once_and_fall_slowly():
    levels = Levels()
    levels.captured(np.full(480, 16_384, dtype="<i2").tobytes(), 24_000, 0.0)
    assert levels.captured_db == pytest.approx(-6.0, abs=0.1)
    levels.captured(bytes(960), 24_000, 0.0)
    assert -20 < levels.captured_db < -6
    for _ in range(100):
        levels.captured(bytes(960), 24_000, 0.0)
    assert levels.captured_db < -50
    levels.captured(b"", 24_000, 0.0)


@pytest.mark.parametrize("width", [40, 80, 200])
async def test_every_line_fits_whatever_it_says(width):
    it = view(title="x")
    for name in ("final", "turn_sent", "first_text", "first_audio", "heard"):
        it.hub.emit("device", message="아주 긴 소식 " * 40)
        assert name
    for text in (it.meters(width, muted=True, holding=False), it.stages(width), it.state(width)):
        assert cell_len(text.plain) <= width


@pytest.mark.parametrize(("secs", "red"), [(0.9, False), (1.6, True)])
async def test_stages_are_red_above_the_budget(secs, red):
    it = view(slow_secs=1.5)
    it.hub.clock.start(0.0)
    for at, kind, fields in [
        (1.0, "user_stopped", {"speech_at": 1.0}),
        (1.3, "final", {"text": "Hello."}),
        (1.31, "turn_sent", {"text": "Hello.", "turn": 1, "attempt": 1}),
        (1.0 + secs, "sound_began", {}),
    ]:
        it.hub._take(kind, at, fields)
    shown = it.stages(80)
    assert f"{secs:.2f} s" in shown.plain
    assert any("red" in str(span.style) for span in shown.spans) is red


@settings(max_examples=40)
@given(st.lists(st.floats(0.001, 20.0), min_size=4, max_size=4).map(sorted), st.integers(50, 120))
async def test_stages_are_told_whole_whatever_they_last(after, width):
    it = view()
    it.hub.clock.start(0.0)
    final, text, sound, heard = after
    for at, kind, fields in [
        (1.0, "user_stopped", {"speech_at": 1.0}),
        (1.0 + final, "final", {"text": "Hello."}),
        (1.0 + final, "turn_sent", {"text": "Hello.", "turn": 1, "attempt": 1}),
        (1.0 + text, "reply_started", {}),
        (1.0 + text, "reply_text", {"text": "Hello."}),
        (1.0 + sound, "first_audio", {}),
        (1.0 + heard, "sound_began", {}),
    ]:
        it.hub._take(kind, at, fields)
    shown = it.stages(width).plain
    assert cell_len(shown) <= width
    assert re.search(r"\d s(  \S+ \d+\.\d\d)*$", shown), shown


def test_a_cut_reply_shows_some_words_and_how_many_more():
    reply = BotSaid(0.0, "Well then. " + "word " * 50, "Well then.", ended=True, interrupted=True)
    line = line_of(reply)
    assert line.plain == f"bot  Well then. {'word ' * 10}… (40 more words)"
    assert unheard("a b c").plain == "a b c"


def test_what_comes_from_outside_is_harmless():
    evil = "\x1b]52;c;aGk=\x07\x1b[31mred\u202e"
    for entry in (UserSaid(0.0, evil), BotSaid(0.0, evil), ToolUsed(0.0, evil, "1", {"x": evil}, {"error": evil})):
        assert "\x1b" not in line_of(entry).plain
        assert "\u202e" not in line_of(entry).plain


async def test_half_duplex_and_echo_are_said_plainly():
    it = view()
    it.transport({"echo": {"erle_db": 24.0, "half_duplex": False}})
    assert "echo −24 dB" in it.state(80).plain
    it.transport({"echo": {"erle_db": 2.0, "half_duplex": True}})
    assert "half duplex" in it.state(80).plain
    it.transport({})
    assert "dB" not in it.state(80).plain
