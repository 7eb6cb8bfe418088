"""The demo as a person runs it: the local mind, real speech in, real speech out. Takes over a minute, in real time."""

import json
import re

import jiwer
import numpy as np
import pytest
import soxr

from tests.bot.support import ROOT, run_bot

pytest.importorskip("moonshine_voice", reason="the local mind is not installed")

ASSETS = ROOT / "bot" / "assets"
TURNS = json.loads((ASSETS / "demo_user.json").read_text("utf-8"))

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Seconds missing in the bot's speech, of a minute's talk: one that keeps up lacks none. The local mind thinks in real
# time, and understands nothing any more on a machine that has no time for it.
LATE_SECS, LOST_SECS = 5.0, 1.0


def words(text: str) -> str:
    """Words in lower case, without punctuation."""
    return " ".join(re.findall(r"[a-z0-9']+", text.lower().replace("-", " ")))


@pytest.fixture(scope="module")
async def demo(tmp_path_factory):
    home = tmp_path_factory.mktemp("demo")
    run = await run_bot(home, "demo", secs=240.0)
    missing = run.metrics["transport"]["underrun_secs"]
    if missing > (LOST_SECS if run.code else LATE_SECS):
        pytest.skip(f"a mind in real time: the machine was too busy ({missing:.1f} s of the bot's speech came late)")
    assert run.code == 0, run.output
    return run


async def test_the_users_words_are_understood(demo):
    said = words(" ".join(turn["text"] for turn in TURNS))
    sent = []
    for event in demo.of_type("turn_sent", "turn_reopened"):
        if event["type"] == "turn_sent":
            sent.append(event["text"])
        else:  # The user went on: the turn is sent again, with all of its words.
            sent.pop()
    understood = words(" ".join(sent))
    assert jiwer.wer(said, understood) < 0.15, understood


async def test_the_replies_make_sense(demo):
    replies = [line for line in demo.transcript.splitlines() if line.startswith("**Bot**")]
    assert any("Dana" in reply and "Lisbon" in reply for reply in replies[4:])
    assert "391" in demo.transcript


async def test_the_story_is_cut_where_the_user_stopped_it(demo):
    story = next(line for line in demo.transcript.splitlines() if "*(interrupted)*" in line and "lighthouse" in line)
    _, struck = story.split("~~")[:2]
    assert len(struck) > 100
    wait = next(turn["start"] for turn in TURNS if turn["interrupts"])
    told = [event for event in demo.of_type("interrupted") if event["t"] > wait]
    assert told[0]["t"] < wait + 5.0


async def test_what_the_loudspeaker_played_says_the_replies(demo):
    """The right channel, transcribed again, is what the transcript says was heard."""
    from halfcascade.emulator.minds.local.listener import MoonshineEngine

    sound, rate = demo.sound
    events = demo.events
    engine = MoonshineEngine()
    pairs = []
    starts = [event["t"] for event in events if event["type"] == "speaking_started"]
    for start, end in zip(starts, [*starts[1:], len(sound) / rate], strict=True):
        text = "".join(event["text"] for event in events if event["type"] == "heard" and start <= event["t"] < end)
        last = max(event["t"] for event in events if event["type"] == "speaking_stopped" and start < event["t"] <= end)
        piece = sound[int(start * rate) : int((last + 0.2) * rate), 1]
        if len(text.split()) < 4 or re.search(r"\d", text):  # too little to judge; numbers are spelled either way
            continue
        samples = soxr.resample(np.pad(piece, rate // 4), rate, 16_000).astype(np.float32)
        pairs.append((words(text), words(await engine.transcribe(samples))))
    engine.close()
    assert len(pairs) >= 3
    rate_of_errors = jiwer.wer([text for text, _ in pairs], [heard for _, heard in pairs])
    assert rate_of_errors < 0.25, pairs


async def test_the_latency_of_every_answered_turn_is_known(demo):
    answered = [turn for turn in demo.metrics["turns"] if turn["latency_ms"]]
    assert len(answered) >= 5
    assert demo.metrics["latency_ms"]["n"] == len(answered)
    assert all(turn["latency_ms"] > 0 for turn in answered)
