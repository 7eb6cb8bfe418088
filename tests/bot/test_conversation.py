"""Whole conversations over the wires: the command line against the emulator's servers."""

import json
import os
import re
import signal

import numpy as np
import pytest
import soundfile
import soxr

from halfcascade.emulator.server import GoogleEmulator
from tests.bot.support import Run, finish, long_story, recordings_for, run_bot, start_bot, until, user_audio

STORY = long_story()
SCENARIO = {
    "recordings": recordings_for("weather", "question", "actually"),
    "replies": [
        {"match": "weather", "calls": [{"name": "get_current_time"}]},
        {"result_of": "get_current_time", "text": "It will be sunny all day."},
        {"match": "moon", "text": STORY},
        {"match": "another question", "text": "Please go ahead."},
    ],
}
# When each recording begins, in seconds. The third speaks into the long reply to the second.
PARTS = ((0.0, "weather"), (5.5, "question"), (11.0, "actually"))
# Who speaks at such times may speak before a slow machine has answered, which is another talk than the one that is
# looked at; so the user there takes so many times as long.
PACES = (1.0, 4.0)
# Some words of the story have to be heard before it is cut short.
STORY_SECS = 0.8


def is_in_time(run: Run, parts: tuple[tuple[float, str], ...]) -> bool:
    """Whether the bot had answered what was said first, and begun to answer what was said next, before more was."""
    (_, _), (second, _), (third, _) = parts
    over = [event["t"] for event in run.of_type("speaking_stopped")]
    begun = [event["t"] for event in run.of_type("speaking_started")]
    return any(t < second for t in over) and any(second < t < third - STORY_SECS for t in begun)


@pytest.fixture(scope="module")
async def talk(tmp_path_factory):
    """One conversation of three turns, the last of which interrupts."""
    for pace in PACES:
        home = tmp_path_factory.mktemp("talk")
        parts = tuple((pace * at, name) for at, name in PARTS)
        user_audio(home / "user.wav", *parts)
        async with GoogleEmulator(scenario=SCENARIO) as google:
            # A server of tools that does not start keeps no talk from its beginning.
            variables = {**google.env, "HALFCASCADE_MCP_SERVERS": "no-such-program --key private-7"}
            run = await run_bot(home, "--backend", "google", "--user-audio", "user.wav", secs=300.0, **variables)
        assert run.code == 0, run.output
        if is_in_time(run, parts):
            break
    run.user, run.parts = soundfile.read(home / "user.wav", dtype="float32"), parts
    return run


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_what_was_said_is_understood_answered_and_shown(talk):
    said = [event["text"] for event in talk.of_type("turn_sent")]
    assert [text.lower().rstrip(".?") for text in said] == [
        "what will the weather be like tomorrow morning",
        "can you tell me how far it is from here to the moon",
        "actually i have another question",
    ]
    for words in ("weather be like", "It will be sunny all day.", "Please go ahead."):
        assert words in talk.output
        assert words in talk.transcript
    assert "after your last word" in talk.output


async def test_each_turn_passes_its_stages_in_order(talk):
    order = ["user_started", "interim", "final", "turn_sent", "reply_text", "first_audio", "speaking_started"]
    events = [event for event in talk.events if event["type"] in order]
    for turn in range(3):
        sent = [index for index, event in enumerate(events) if event["type"] == "turn_sent"][turn]
        before = [event["type"] for event in events[:sent]]
        after = [event["type"] for event in events[sent:]]
        assert before[-1] == "final"
        assert "interim" in before
        assert after.index("reply_text") < after.index("first_audio") < after.index("speaking_started")
    times = [event["t"] for event in talk.of_type("user_started", "turn_sent", "speaking_started")]
    assert times == sorted(times)
    assert talk.events[-1] == {"t": talk.events[-1]["t"], "type": "session_ended", "reason": "finished"}


async def test_the_left_channel_is_the_user_to_the_sample(talk):
    sound, rate = talk.sound
    user, user_rate = talk.user
    expected = soxr.resample(user, user_rate, rate)
    assert np.abs(sound[: len(expected), 0] - expected).max() < 2e-4
    assert not sound[len(expected) + rate // 10 :, 0].any()


async def test_the_right_channel_holds_the_bot_when_events_say_so(talk):
    sound, rate = talk.sound
    began, ended = talk.of_type("sound_began"), talk.of_type("sound_ended")
    assert len(began) >= 3
    quiet = np.ones(len(sound), dtype=bool)
    for start, end in zip(began, ended, strict=False):
        span = slice(int((start["t"] - 0.01) * rate), int((end["t"] + 0.02) * rate))
        assert np.abs(sound[span, 1]).max() > 0.01
        quiet[span] = False
    if len(ended) < len(began):
        quiet[int(began[-1]["t"] * rate) :] = False
    assert np.abs(sound[quiet, 1]).max() < 0.01


async def test_the_interrupted_reply_stops_and_only_what_was_heard_is_kept(talk):
    (interrupted,) = talk.of_type("interrupted")
    assert interrupted["t"] > talk.parts[2][0]
    # Silence comes at once: the generous second is for a busy machine, the story would go on for half a minute.
    (silent,) = [event["t"] for event in talk.of_type("sound_ended") if 0 < event["t"] - interrupted["t"] + 0.5 < 1.5]
    assert silent < interrupted["t"] + 1.0
    line = next(line for line in talk.transcript.splitlines() if "Once upon a time" in line)
    told = re.fullmatch(r"\*\*Bot\*\* \([\d:.]+\): (.*) ~~(.*)~~ \*\(interrupted\)\*", line)
    assert told, line
    heard, struck = told.groups()
    words = "".join(event["text"] for event in talk.of_type("heard") if event["t"] < interrupted["t"] + 0.1)
    assert STORY.strip() == f"{heard} {struck}"
    assert words.endswith(heard.split()[-1])


async def test_tools_are_called_and_told(talk):
    (call,), (result,) = talk.of_type("tool_call"), talk.of_type("tool_result")
    assert call["name"] == result["name"] == "get_current_time"
    assert call["id"] == result["id"]
    assert call["t"] <= result["t"]
    assert "tool `get_current_time`" in talk.transcript
    assert "get_current_time(" in talk.output
    assert talk.metrics["turns"][0]["tools"] == ["get_current_time"]


async def test_a_server_of_tools_that_does_not_start_is_told_and_done_without(talk):
    (error,) = talk.of_type("error")
    assert "no-such-program cannot be used" in error["message"] and "begins without it" in error["message"]
    assert not error["permanent"] and "begins without it" in " ".join(talk.output.split())
    assert "private-7" not in talk.output


async def test_metrics_split_the_latency_and_count_what_was_used(talk):
    metrics = talk.metrics
    assert [turn["turn"] for turn in metrics["turns"]] == [1, 2, 3]
    for turn in metrics["turns"]:
        stages = turn["stages_ms"]
        assert 0 < stages["final"] <= stages["turn_sent"] <= stages["first_text"] <= stages["first_audio"]
        assert stages["first_audio"] <= stages["heard"] == turn["latency_ms"]
        assert turn["usage"]["llm_completion_tokens"] > 0
    assert [turn["interrupted"] for turn in metrics["turns"]] == [False, True, False]
    assert metrics["usage"]["stt_audio_seconds"] > 3
    assert metrics["usage"]["tts_characters"] > len("It will be sunny all day.Please go ahead.")
    assert metrics["interruptions"][0]["ms"] < 5_000
    assert set(metrics["transport"]) == {"underruns", "underrun_secs"}
    assert metrics["errors"] == 1  # of the server of tools


async def test_what_it_cost_is_told_by_turn_and_in_all(talk):
    money = talk.metrics["money"]
    assert money["usd"] > 0 and money["unknown"] == [] and not money["emulated"]
    assert 0 < money["discarded_audio_usd"] < money["usd"]
    turns = [turn["money"]["usd"] for turn in talk.metrics["turns"]]
    assert all(usd > 0 for usd in turns)
    assert sum(turns) <= money["usd"] + 1e-5
    assert "so far" in talk.output
    assert "that the model generated and nobody hears" in talk.output


@pytest.mark.slow
async def test_a_budget_ends_the_talk_aloud(tmp_path_factory):
    home = tmp_path_factory.mktemp("budget")
    user_audio(home / "user.wav", *PARTS, tail=60.0)
    async with GoogleEmulator(scenario=SCENARIO) as google:
        run = await run_bot(home, "--backend", "google", "--user-audio", "user.wav", "--budget", "0.004", **google.env)
    assert run.code == 0, run.output
    assert [event["state"] for event in run.of_type("budget")][-1] == "spent"
    assert run.events[-1]["reason"] == "budget spent"
    heard = "".join(event["text"] for event in run.of_type("heard"))
    assert heard.rstrip().endswith("Thank you for talking with me.")


WRONG = {
    # Name of the case: settings, environment, words of the error.
    "key": ({}, {"GOOGLE_API_KEY": "wrong-key-1"}, "refused"),
    "model": ({"model": "gemini-none"}, {}, "gemini-none"),
    "voice": ({"voice": "Nobody"}, {}, "Nobody"),
    "language": ({"language": "xx-XX"}, {}, "xx-XX"),
    "processor": ({"processors": ["no.such:thing"]}, {}, "package.module:factory"),
    "text": ({"user_audio": "text.wav"}, {}, "is not a WAV file"),
}
# One process for all, because most of the time goes into imports.
WRONG_PROGRAM = """
import json, os, sys
from halfcascade.bot.settings import Settings
from halfcascade.bot.desk import run_conversation
from halfcascade.bot.terminal import Terminal
for name, (options, variables) in json.loads(sys.argv[1]).items():
    kept = dict(os.environ)
    os.environ.update(variables)
    settings = Settings(**{"backend": "google", "user_audio": "user.wav", **options}, session=name)
    print("case", name, run_conversation(settings, terminal=Terminal()), flush=True)
    os.environ.update(kept)
"""


async def test_wrong_settings_are_one_line_each(tmp_path_factory):
    home = tmp_path_factory.mktemp("wrong")
    user_audio(home / "user.wav", (0.0, "weather"), tail=20.0)
    (home / "text.wav").write_text("hello")
    cases = {name: case[:2] for name, case in WRONG.items()}
    async with GoogleEmulator(scenario=SCENARIO, api_key="right-key-1") as google:
        variables = {**google.env, "GOOGLE_API_KEY": "right-key-1"}
        process = await start_bot(home, json.dumps(cases), program=("-c", WRONG_PROGRAM), **variables)
        told = (await finish(process, home)).output
    for name, (_, _, words) in WRONG.items():
        output, _, told = told.partition(f"case {name} 1\n")
        run = Run(1, output, home / name)
        assert words in run.error, f"{name}: {run.error}"
        assert run.of_type("error") and run.events[-1]["reason"] == "failed"
        for path in run.folder.iterdir():
            assert b"wrong-key-1" not in path.read_bytes()


async def test_an_emulator_that_dies_ends_the_conversation_with_one_line(tmp_path_factory):
    home = tmp_path_factory.mktemp("dies")
    user_audio(home / "user.wav", (0.0, "weather"), tail=60.0)
    code = (
        "import sys; from pathlib import Path; from halfcascade.bot.settings import Settings;"
        "from halfcascade.bot.terminal import Terminal;"
        "from halfcascade.bot.desk import run_conversation;"
        "settings = Settings(backend='emulator', user_audio=Path('user.wav'), session=Path('s'));"
        "sys.exit(run_conversation(settings, terminal=Terminal(), mind='scripted'))"
    )
    process = await start_bot(home, program=("-c", code))
    log, events = home / "s" / "bot.log", home / "s" / "events.jsonl"

    def emulator() -> re.Match | None:
        return re.search(r"emulator runs as process (\d+)", log.read_text()) if log.exists() else None

    await until(emulator)
    await until(lambda: events.exists() and '"user_started"' in events.read_text())
    os.kill(int(emulator()[1]), signal.SIGKILL)
    run = await finish(process, home / "s")
    assert "signal 9" in run.error
    assert run.output.count("signal 9") == 1
    assert run.of_type("user_started")
    assert run.events[-1]["reason"] == "failed"


async def test_ctrl_c_ends_in_order(tmp_path_factory):
    home = tmp_path_factory.mktemp("ctrl-c")
    user_audio(home / "user.wav", (0.0, "question"), tail=60.0)
    async with GoogleEmulator(scenario=SCENARIO) as google:
        process = await start_bot(
            home, "--backend", "google", "--user-audio", "user.wav", "--session", "s", **google.env
        )
        events = home / "s" / "events.jsonl"
        await until(lambda: events.exists() and '"heard"' in events.read_text())
        process.send_signal(signal.SIGINT)
        run = await finish(process, home / "s")
    assert run.code == 0, run.output
    assert "Traceback" not in run.output
    assert "error" not in run.output
    assert run.events[-1]["reason"] == "Ctrl-C"
    assert "~~" in run.transcript  # the rest of the story, which nobody heard
    assert run.metrics["turns"][0]["latency_ms"] > 0
