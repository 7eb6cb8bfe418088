"""The whole talk in a room with an open loudspeaker. ``bench/room.py`` measures the same at length."""

import asyncio
import os

import pytest

from halfcascade.emulator.minds.local import missing_packages
from tests.room_talk import RATE, RoomMind, RoomTalk
from tests.transports.conftest import sound_server  # noqa: F401 - fixture
from tests.transports.local.test_aec import at_level, recording
from tests.virtual_audio import Room

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(bool(missing_packages()), reason=f"needs {', '.join(missing_packages())} (make demo)"),
]

# Acoustics in real time need a machine that keeps up. With HALFCASCADE_ROOM=1 it has to.
FORCED = bool(os.environ.get("HALFCASCADE_ROOM"))
BUSIEST = 1.5  # programs that want to run, for each processor
REPLIES = {"weather": "It starts with fog near the river, and then it clears up.", "timer": "All right, it runs now."}
STORY = (
    "Once there was an old clock in a quiet harbor town, and nobody knew who had built it. Every evening the children "
    "came to hear it strike, and every evening it was a little late. One day a sailor climbed the tower to see why."
)
TURNS, OVER_THE_BOT = ("weather", "question"), ("actually",)
USER_DBFS = -24.0
# How long after the user's last sound words, and what follows from them, are still the user's doing.
LATE_SECS = 3.0


def user(name):
    return at_level(recording(name), USER_DBFS)


@pytest.fixture(scope="module")
async def talk(sound_server, tmp_path_factory):  # noqa: F811
    """A turn that the user lets the bot answer, another, and one that cuts the answer to it short."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    if load > BUSIEST and not FORCED:
        pytest.skip(f"acoustics in real time: the machine is too busy (load {load:.1f} for each processor)")
    sound_server.restore()
    home = tmp_path_factory.mktemp("room")
    async with RoomTalk(sound_server, home, RoomMind(REPLIES, STORY), Room()) as talk:
        missed = await converse(talk)
    late = lateness(talk.run.metrics["transport"], sound_server.room_lapses)
    if late and not FORCED:
        pytest.skip(f"acoustics in real time: the machine was late ({late})")
    assert missed is None, (missed, talk.events[-5:])
    assert talk.run.code == 0, talk.run.output
    return talk


async def converse(talk):
    """Hold the conversation; gives what did not come of it."""
    for name in TURNS[:-1]:
        if not await talk.turn(user(name)):
            return name
        await asyncio.sleep(0.5)
    for name in (TURNS[-1], *OVER_THE_BOT):
        seen = len(talk.events)
        samples = user(name)
        talk.say(samples)
        await asyncio.sleep(len(samples) / RATE)
        for event in ("turn_sent", "speaking_started"):
            if not await talk.wait(event, after=seen, secs=20):
                return name, event
        await asyncio.sleep(1.5)
    return None


def lateness(transport, lapses):
    """What the counters of transport and room say of a machine that did not keep up, or nothing."""
    # One underrun, and the gap that comes with it, belongs to the first sound of a PulseAudio sink.
    limits = {
        "lapses of the room": (lapses, 0),
        "underruns": (transport["underruns"], 2),
        "reference gaps": (transport["echo"]["reference_gaps"], 3),
        "seconds without reference": (round(transport["echo"]["reference_missing_secs"], 2), 0.3),
        "seconds that audio waited": (round(transport["queue_age_max_secs"], 2), 0.3),
    }
    return ", ".join(f"{name}: {value}" for name, (value, limit) in limits.items() if value > limit)


async def test_the_bot_does_not_take_itself_for_the_user(talk):
    spans = talk.found()
    for event in talk.run.of_type("user_started", "interrupted", "turn_started", "final", "turn_sent", "backchannel"):
        assert any(span.start < event["t"] < span.end + LATE_SECS for span in spans), event


async def test_every_turn_is_understood(talk):
    sent = [event["text"].lower() for event in talk.run.of_type("turn_sent")]
    for words in ("weather", "moon", "another question"):
        assert any(words in text for text in sent), (words, sent)


async def test_a_user_who_talks_over_the_bot_silences_it(talk):
    spans = talk.found()[len(TURNS) :]
    interrupted = [event["t"] for event in talk.run.of_type("interrupted")]
    started = [event["t"] for event in talk.run.of_type("speaking_started")]
    for span in spans:
        at = next((at for at in interrupted if span.start < at < span.end + LATE_SECS), None)
        assert at is not None, (span, interrupted)
        answer = next(begin for begin in started if begin > at)
        assert talk.last_sound(span.start - 0.5, answer - 0.1) < span.end + LATE_SECS
    assert talk.run.transcript.count("*(interrupted)*") >= len(spans)


async def test_echo_cancelling_is_told_to_work(talk):
    echo = talk.run.metrics["transport"]["echo"]
    assert echo["erle_db"] > 10
    assert not echo["half_duplex"]
