"""The screen as a person sees it: pictures of it, and keys."""

import asyncio

import numpy as np
import pytest

from halfcascade.bot.controls import Choice
from halfcascade.bot.money import Models, load_tariff
from halfcascade.bot.screen.app import DevicePicker, Help, TalkApp
from halfcascade.bot.screen.view import Levels, View
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.session.redaction import Redactor
from halfcascade.lines import use_language


class Acts:
    """Controls that write down what was asked for."""

    def __init__(self):
        self.muted = False
        self.done = []

    def mute(self, closed):
        self.muted = closed
        self.done.append("mute" if closed else "open")

    async def type(self, text):
        self.done.append(("type", text))

    async def interrupt(self):
        self.done.append("interrupt")

    async def repeat(self):
        self.done.append("repeat")

    async def devices(self):
        return [Choice("input", "Built-in"), Choice("input", "Headset"), Choice("output", "Speakers")]

    def use(self, choice):
        self.done.append(choice)

    def end(self):
        self.done.append("end")


def talk(hub: EventHub) -> None:
    hub.clock.start(0.0)
    hub.metrics.tariff = load_tariff(Models("chirp_3", "gemini-3.8-live", "ko-KR-Chirp3-HD-Kore"))
    for at, kind, fields in [
        (1.2, "user_started", {"speech_at": 1.0}),
        (2.2, "user_stopped", {"speech_at": 2.0}),
        (2.3, "final", {"text": "오늘 서울 날씨가 어때요?"}),
        (2.31, "turn_sent", {"text": "오늘 서울 날씨가 어때요?", "turn": 1, "attempt": 1}),
        (2.4, "tool_call", {"name": "weather", "id": "1", "arguments": {"city": "서울"}}),
        (2.5, "tool_result", {"name": "weather", "id": "1", "result": {"sky": "clear"}}),
        (2.6, "reply_started", {}),
        (2.6, "reply_text", {"text": "맑고 따뜻해요. " + "바람은 조금 불어요. " * 12}),
        (2.65, "reply_ended", {}),
        (2.7, "first_audio", {}),
        (2.8, "speaking_started", {}),
        (2.85, "sound_began", {}),
        (3.1, "heard", {"text": "맑고 따뜻해요."}),
        (3.2, "usage", {"kind": "llm", "prompt_tokens": 900, "completion_tokens": 1500, "output_audio_tokens": 1400}),
        (3.5, "interrupted", {}),
        (3.6, "speaking_stopped", {}),
        (4.0, "user_started", {"speech_at": 4.0}),
        (4.4, "interim", {"text": "그럼 내일은"}),
    ]:
        hub._take(kind, at, fields)


def make(acts=None) -> TalkApp:
    hub, levels = EventHub(Redactor()), Levels()
    view = View(hub, levels, title="ko-KR  gemini-3.8-live  ko-KR-Chirp3-HD-Kore")
    hub.listen(view.apply)
    talk(hub)
    levels.captured(np.full(480, 6_000, dtype="<i2").tobytes(), 24_000, 0.0)
    view.erle_db = 24.0
    app = TalkApp(view, acts or Acts(), lambda: {"echo": {"erle_db": 24.0, "half_duplex": False}})
    app.animation_level = "none"
    return app


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
def test_the_screen(snap_compare, size):
    assert snap_compare(make(), terminal_size=size)


def test_the_screen_in_korean(snap_compare):
    use_language("ko-KR")
    try:
        assert snap_compare(make(), terminal_size=(80, 24))
    finally:
        use_language("en-US")


def test_the_screen_without_colours(snap_compare, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(make(), terminal_size=(80, 24))


def test_help_and_typing(snap_compare):
    assert snap_compare(make(), terminal_size=(80, 24), press=["question_mark"])


def test_typing(snap_compare):
    assert snap_compare(make(), terminal_size=(80, 24), press=["t", *"안녕"])


async def test_keys_act():
    acts = Acts()
    async with make(acts).run_test(size=(80, 24)) as pilot:
        for key, expected in [("m", "mute"), ("m", "open"), ("i", "interrupt"), ("r", "repeat"), ("q", "end")]:
            await pilot.press(key)
            await pilot.pause()
            assert acts.done[-1] == expected
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert acts.done[-2:] == ["end", "end"]


async def test_beginning_to_type_is_enough_and_commands_are_letters_then():
    acts = Acts()
    async with make(acts).run_test(size=(80, 24)) as pilot:
        await pilot.press(*"hello", "space", *"quit", "enter")
        await pilot.pause()
        assert acts.done == [("type", "hello quit")]
        await pilot.press("t", *"mir", "escape", "i")
        await pilot.pause()
        assert acts.done[1:] == ["interrupt"]


async def test_space_opens_a_muted_microphone_while_it_is_held():
    acts = Acts()
    async with make(acts).run_test(size=(80, 24)) as pilot:
        await pilot.press("space")
        assert acts.done == []
        await pilot.press("m", "space", "space")
        await pilot.pause()
        assert acts.muted is False
        async with asyncio.timeout(10):
            while not acts.muted:
                await pilot.pause(0.05)


async def test_devices_are_chosen_and_left():
    acts = Acts()
    async with make(acts).run_test(size=(80, 24)) as pilot:
        await pilot.press("d")
        await pilot.pause()
        assert isinstance(pilot.app.screen, DevicePicker)
        await pilot.press("down", "enter")
        await pilot.pause()
        assert acts.done == [Choice("input", "Headset")]
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Help)
        await pilot.press("x")
        await pilot.pause()
        assert not isinstance(pilot.app.screen, Help)


async def test_resizing_and_many_lines_cost_nothing_but_room():
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        for number in range(300):
            app._view.hub.emit("turn_started")
            app._view.hub.emit("final", text=f"sentence {number}")
            app._view.hub.emit("turn_sent", text=f"sentence {number}", turn=number, attempt=1)
            app._view.hub.emit("turn_ended")
        await pilot.pause(0.3)
        for size in ((40, 12), (20, 5), (200, 60), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.2)
        assert len(app._lines) <= 200
        assert "sentence 299" in app._view.lines()[-1][1].text
