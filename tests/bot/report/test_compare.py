"""What became worse is found, and what did not is not."""

import copy
import random

import pytest
from typer.testing import CliRunner

from halfcascade.bot.cli import app
from halfcascade.bot.money import Models, load_tariff
from halfcascade.bot.report.compare import Limits, assert_no_worse, compare_talks
from halfcascade.bot.report.saved import load_talk
from halfcascade.emulator.server import GoogleEmulator
from tests.bot.report.folders import EVENTS, make_folder
from tests.bot.support import finish, recordings_for, run_bot, start_bot, user_audio

QUESTIONS = ["What time is it in Lisbon now?", "How far is it to the moon from here?", "오늘 서울 날씨가 어때요?",
             "Tell me a long story about a clock.", "Thank you very much and goodbye."]  # fmt: skip


def turn(number: int, text: str) -> list[dict]:
    at = 20.0 * number
    events: list[tuple[float, str, dict]] = [
        (0.2, "user_started", {"speech_at": at}), (0.2, "turn_started", {}),
        (1.2, "user_stopped", {"speech_at": at + 1.0}), (1.3, "final", {"text": text}), (1.31, "turn_ended", {}),
        (1.32, "turn_sent", {"text": text, "turn": number, "attempt": 1}),
        (1.4, "tool_call", {"name": "clock", "id": str(number), "arguments": {}}),
        (1.41, "tool_result", {"name": "clock", "id": str(number), "result": "x"}),
        (1.7, "reply_started", {}),
        (1.7, "reply_text", {"text": f"Here is answer number {number} for you, my friend."}),
        (1.75, "reply_ended", {}), (1.9, "first_audio", {}), (1.95, "speaking_started", {}), (2.0, "sound_began", {}),
        (2.2, "heard", {"text": f"Here is answer number {number} for you,"}), (2.6, "heard", {"text": " my friend."}),
        (2.7, "usage", {"kind": "llm", "prompt_tokens": 500, "completion_tokens": 800, "output_audio_tokens": 700}),
        (2.7, "usage", {"kind": "tts", "characters": 60}), (2.8, "sound_ended", {}), (2.85, "speaking_stopped", {}),
    ]  # fmt: skip
    return [{"t": round(at + after, 3), "type": kind, **fields} for after, kind, fields in events]


def events() -> list[dict]:
    turns = [event for number, text in enumerate(QUESTIONS, 1) for event in turn(number, text)]
    return [*EVENTS[:2], *turns, {"t": 130.0, "type": "session_ended", "reason": "finished"}]


def load(folder):
    talk = load_talk(folder)
    talk.metrics.tariff = load_tariff(Models("chirp_3", "gemini-3.8-live", "en-US-Chirp3-HD-Charon"))
    return talk


def of_turn(all_events, number, *kinds):
    low, high = 20.0 * number, 20.0 * (number + 1)
    return [event for event in all_events if low <= event["t"] < high and event["type"] in kinds]


def delay(all_events, number, first, secs):
    started = of_turn(all_events, number, first)[0]["t"]
    for event in all_events:
        if started <= event["t"] < 20.0 * (number + 1):
            event["t"] += secs
    return all_events


def change(all_events, number, kind, **fields):
    for event in of_turn(all_events, number, kind):
        event.update(fields)
    return all_events


def without(all_events, number, *kinds):
    gone = of_turn(all_events, number, *kinds)
    return [event for event in all_events if event not in gone]


def cut(all_events, number):
    kept = without(all_events, number, "sound_ended", "speaking_stopped")
    late = of_turn(kept, number, "heard")[-1]
    kept.remove(late)
    return [*kept, {"t": late["t"], "type": "interrupted"}, {"t": late["t"] + 0.05, "type": "sound_ended"},
            {"t": late["t"] + 0.1, "type": "speaking_stopped"}]  # fmt: skip


def lose_words(all_events, number):
    change(all_events, number, "final", text="What time is")
    return change(all_events, number, "turn_sent", text="What time is")


DEAR = {"t": 129.0, "type": "usage", "kind": "llm", "output_audio_tokens": 2_000}
WRONG = {"t": 129.0, "type": "error", "message": "x", "source": "y", "permanent": False}
REGRESSIONS = {
    "ears": lambda e: delay(e, 2, "final", 0.3),
    "turn": lambda e: delay(e, 2, "turn_sent", 0.4),
    "brain": lambda e: delay(e, 3, "reply_started", 0.5),
    "voice": lambda e: delay(e, 4, "first_audio", 0.2),
    "loudspeaker": lambda e: delay(e, 1, "sound_began", 0.25),
    "words": lambda e: lose_words(e, 1),
    "lost": lambda e: [event for event in e if not 40.0 <= event["t"] < 60.0],
    "answer": lambda e: without(e, 2, "reply_started", "reply_text", "reply_ended", "heard", "first_audio"),
    "interrupted": lambda e: cut(e, 4),
    "tools": lambda e: without(e, 5, "tool_call", "tool_result"),
    "money": lambda e: [*e[:-1], *[DEAR] * 3, e[-1]],
    "errors": lambda e: [*e[:-1], WRONG, e[-1]],
    "extra": lambda e: [*e[:-1], *turn(6, "Something nobody has said at all"), {**e[-1], "t": 160.0}],
}  # fmt: skip


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_planted_regression_is_found_and_turned_round_is_none(tmp_path, name):
    before = load(make_folder(tmp_path / "a", events(), seconds=0))
    changed = REGRESSIONS[name](copy.deepcopy(events()))
    after = load(make_folder(tmp_path / "b", changed, seconds=0))
    found = {finding.what for finding in compare_talks(before, after).worse}
    assert name in found
    if name not in ("interrupted", "lost", "extra", "tools", "words"):
        assert name not in {finding.what for finding in compare_talks(after, before).worse}


def test_the_same_talk_differs_in_nothing_and_chance_is_no_difference(tmp_path):
    before = load(make_folder(tmp_path / "a", events(), seconds=0))
    assert compare_talks(before, before).findings == []
    rolled = random.Random(1)
    shaken = [{**event, "t": max(0.0, event["t"] + rolled.uniform(-0.004, 0.004))} for event in events()]
    assert compare_talks(before, load(make_folder(tmp_path / "b", shaken, seconds=0))).worse == []
    assert compare_talks(before, before).pairs == 5


def test_limits_decide(tmp_path):
    before = make_folder(tmp_path / "a", events(), seconds=0)
    after = make_folder(tmp_path / "b", delay(copy.deepcopy(events()), 2, "final", 0.3), seconds=0)
    assert compare_talks(before, after, Limits(latency_ms=400)).worse == []
    assert_no_worse(before, after, Limits(latency_ms=400))
    with pytest.raises(AssertionError, match="ears"):
        assert_no_worse(before, after)


def test_the_command_tells_and_ends_with_a_code(tmp_path):
    before = make_folder(tmp_path / "a", events(), seconds=0)
    after = make_folder(tmp_path / "b", delay(copy.deepcopy(events()), 2, "final", 0.3), seconds=0)
    result = CliRunner().invoke(app, ["diff", str(before), str(after)])
    assert result.exit_code == 1
    assert "worse   turn 2    ears" in result.output
    assert CliRunner().invoke(app, ["diff", str(before), str(before)]).exit_code == 0
    assert CliRunner().invoke(app, ["diff", str(before), str(after), "--latency-ms", "400"]).exit_code == 0
    assert CliRunner().invoke(app, ["diff", str(before), str(tmp_path)]).exit_code == 2


def test_a_replay_of_what_cannot_be_played_is_one_line(tmp_path):
    for name in ("missing", "silent"):
        if name == "silent":
            make_folder(tmp_path / name, events(), seconds=0)
        result = CliRunner().invoke(app, ["replay", str(tmp_path / name)])
        assert result.exit_code == 2
        assert len([line for line in result.output.splitlines() if line.startswith("error: ")]) == 1, result.output


@pytest.mark.slow
async def test_a_saved_talk_is_played_into_todays_code(tmp_path):
    user_audio(tmp_path / "user.wav", (0.5, "weather"), tail=2.0)
    scenario = {"recordings": recordings_for("weather"), "replies": [{"match": "weather", "text": "It will be sunny."}]}
    async with GoogleEmulator(scenario=scenario, profile="reference") as google:
        first = await run_bot(tmp_path, "--backend", "google", "--user-audio", "user.wav", **google.env)
        assert first.code == 0, first.output
        again = await start_bot(tmp_path, "replay", "s", "--backend", "google", "--session", "again", **google.env)
        second = await finish(again, tmp_path / "again")
    # On a busy machine a stage may take longer by chance; what was said and heard is the same.
    assert second.code in (0, 1), second.output
    assert "1 turns in both" in second.output
    assert_no_worse(first.folder, second.folder, Limits(latency_ms=5_000))
    sent = [[event["text"] for event in run.of_type("turn_sent")] for run in (first, second)]
    assert sent[0] == sent[1]
