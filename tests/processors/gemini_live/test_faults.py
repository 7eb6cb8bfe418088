"""The endless session against scripted faults of the emulated server: nothing lost, nothing twice, nobody waits."""

import asyncio
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from google.genai import types
from pipecat.frames.frames import LLMFullResponseStartFrame

from halfcascade.emulator.live.errors import Refusal
from halfcascade.emulator.live.faults import Drop, GoAway, LiveFaults, TurnFault
from halfcascade.emulator.minds.scripted_thinker import ScriptedReply
from halfcascade.processors.frames import TurnSentFrame
from halfcascade.processors.gemini_live import SessionOptions
from halfcascade.processors.gemini_live.connection import BESIDE_SECS, OPEN_SECS, LiveConnection
from halfcascade.processors.gemini_live.protocol import answer_text
from tests.processors.gemini_live.harness import LONG, Google, talking

STORY = "Once upon a time there was a fox who lived in a wood. One day it met a crow with a piece of cheese."
QUICK = SessionOptions(
    backoff_secs=0.02, answer_timeout_secs=0.5, stall_secs=0.5, offline_secs=3.0, goaway_margin_secs=0.1
)
# Where no answer and no connection is late: on a slow machine the model would be asked once more, or given up.
PATIENT = replace(QUICK, answer_timeout_secs=LONG, stall_secs=LONG, offline_secs=LONG)
REPLIES = [ScriptedReply(STORY, match="story", chars_per_second=400)]


def setups(google: Google) -> list[dict]:
    return [message["setup"] for message in google.received("setup")]


def user_texts(google: Google) -> list[str]:
    return [text for role, text in google.heard[-1] if role == "user"]


@pytest.mark.parametrize("time_left", [50.0, 0.0])
async def test_goaway_leads_to_a_resumed_session_that_remembers(time_left: float) -> None:
    faults = LiveFaults(go_aways=[GoAway(turn=1, time_left=time_left, close_after=max(time_left, 0.05))])
    async with Google(faults=faults) as google, talking(google, options=PATIENT) as bench:
        assert await bench.answer("My name is Ada.") == "You said: My name is Ada."
        await bench.until(lambda: len(setups(google)) == 2)
        assert await bench.answer("What is my name?") == "You said: What is my name?"
        assert user_texts(google) == ["My name is Ada.", "What is my name?"]
        assert not bench.errors


async def test_a_hand_over_in_a_pause_costs_the_user_nothing() -> None:
    faults = LiveFaults(go_aways=[GoAway(turn=1, time_left=50)])
    async with Google(faults=faults) as google, talking(google, options=PATIENT) as bench:
        await bench.answer("One.")
        await bench.until(lambda: len(setups(google)) == 2)
        handles = [setup["sessionResumption"].get("handle") for setup in setups(google)]
        assert handles[0] is None
        assert handles[1]
        await bench.answer("Two.")
        assert [frame.attempt for frame in bench.of(TurnSentFrame)] == [1, 1]


async def test_a_turn_that_comes_during_the_hand_over_is_sent_once_right_after() -> None:
    faults = LiveFaults(go_aways=[GoAway(turn=1, time_left=50)])
    async with Google(faults=faults) as google, talking(google, options=PATIENT) as bench:
        await bench.answer("One.")
        await bench.say("Two.")
        await bench.until(lambda: len(bench.answers) == 2)
        await bench.until(lambda: len(setups(google)) == 2)
        assert bench.answers == ["You said: One.", "You said: Two."]
        assert user_texts(google) == ["One.", "Two."]


@pytest.mark.parametrize("phase", ["answer", "deltas", "generation_complete", "turn_complete", "after"])
@pytest.mark.parametrize("code", [None, 1011])
async def test_a_drop_in_any_phase_loses_no_word_and_doubles_none(phase: str, code: int | None) -> None:
    faults = LiveFaults(drops=[Drop(turn=2, phase=phase, deltas=3, code=code, reason="Deadline expired")])
    async with Google(REPLIES, faults) as google, talking(google, options=PATIENT) as bench:
        await bench.answer("Hello.")
        await bench.say("Tell me a story.")
        await bench.until(lambda: len(bench.answers) >= 2)
        await bench.until(lambda: len(setups(google)) == 2)
        bench.context.add_message({"role": "assistant", "content": STORY})
        assert "".join(bench.answers[1:]) == STORY
        assert await bench.answer("Thanks.") == "You said: Thanks."
        conversation = google.heard[-1]
        assert [text for role, text in conversation if role == "user" and "Hello" in text] == ["Hello."]
        assert sum("Tell me a story." in text for role, text in conversation if role == "user") == 1
        assert sum("One day it met a crow" in text for role, text in conversation if role == "model") == 1
        assert not bench.errors


async def test_an_interruption_after_a_resend_still_tells_the_truth() -> None:
    faults = LiveFaults(drops=[Drop(turn=1, phase="deltas", deltas=2)])
    slow = [ScriptedReply(STORY, match="^Tell me a story|broke", chars_per_second=80)]
    async with Google(slow, faults) as google, talking(google, options=PATIENT) as bench:
        await bench.say("Tell me a story.")
        await bench.until(lambda: "fox" in bench.text)
        await bench.interrupt()
        bench.context.add_message({"role": "assistant", "content": "Once upon a time"})
        await bench.answer("Stop. What was it about?")
        assert 'heard only: "Once upon a time"' in google.heard[-1][-1][1]


@pytest.mark.parametrize("refusal", [Refusal(1007, "Invalid session handle"), Refusal(1008, "Session not found")])
async def test_a_refused_handle_gives_a_fresh_session_that_knows_what_was_heard(refusal: Refusal) -> None:
    faults = LiveFaults(drops=[Drop(turn=1, phase="after", code=1011)], refuse_handles=1, refuse_handles_with=refusal)
    async with Google(faults=faults) as google, talking(google, options=PATIENT) as bench:
        await bench.say("My name is Ada.")
        await bench.until(lambda: bench.answers)
        bench.context.add_message({"role": "assistant", "content": "You said: My"})
        await bench.until(lambda: len(setups(google)) == 3)
        # What is asked before the fresh session was told of the talk is told with it, and asked for by a prompt.
        await bench.until(lambda: "You said: My" in str(google.received("client_content")))
        await bench.answer("What is my name?")
        assert google.heard[-1] == [
            ("user", "My name is Ada."),
            ("model", "You said: My"),
            ("user", "What is my name?"),
        ]


async def test_a_resume_refused_while_the_old_socket_lingers_is_tried_again() -> None:
    faults = LiveFaults(drops=[Drop(turn=1, phase="after")], forget_closed_after=0.3)
    options = SessionOptions(backoff_secs=0.2, answer_timeout_secs=1.0)
    async with Google(faults=faults) as google, talking(google, options=options) as bench:
        await bench.answer("One.")
        await bench.answer("Two.")
        assert user_texts(google) == ["One.", "Two."]


async def test_an_unanswered_turn_is_nudged() -> None:
    faults = LiveFaults(turns=[TurnFault(turn=1, silent=True)])
    async with Google(faults=faults, default="Yes.") as google, talking(google, options=QUICK) as bench:
        assert await bench.answer("Are you there?") == "Yes."
        assert len(setups(google)) == 1
        assert not bench.errors


async def test_a_turn_unanswered_after_the_nudge_is_sent_again_on_a_new_connection() -> None:
    faults = LiveFaults(turns=[TurnFault(turn=1, silent=True), TurnFault(turn=2, silent=True)])
    async with Google(faults=faults, default="Yes.") as google, talking(google, options=QUICK) as bench:
        assert await bench.answer("Are you there?") == "Yes."
        assert len(setups(google)) == 2
        assert [frame.attempt for frame in bench.of(TurnSentFrame)] == [1, 2]
        assert user_texts(google) == ["Are you there?"]


async def test_a_server_that_stays_silent_gets_an_apology_spoken_and_an_error_reported() -> None:
    faults = LiveFaults(turns=[TurnFault(silent=True)])
    async with Google(faults=faults) as google, talking(google, options=QUICK) as bench:
        assert (await bench.answer("Are you there?")).startswith("Sorry")
        assert any("gave no answer" in error for error in bench.errors)
        faults.turns.clear()
        assert (await bench.answer("And now?")).endswith("And now?")


async def test_answers_that_never_have_a_transcript_end_in_an_apology_and_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answer_text, "LATE_DELTA_SECS", 0.3)
    faults = LiveFaults(turns=[TurnFault(no_transcript=True)])
    async with Google(faults=faults) as google, talking(google, options=QUICK) as bench:
        assert (await bench.answer("Are you there?")).startswith("Sorry")
        await bench.until(lambda: any("gave no answer" in error for error in bench.errors))
        assert [frame.attempt for frame in bench.of(TurnSentFrame)] == [1, 2]
        assert len(google.received("client_content")) == 3  # the turn, the nudge, the turn
        assert user_texts(google) == ["Are you there?"]
        faults.turns.clear()
        assert (await bench.answer("And now?")).endswith("And now?")


@pytest.mark.parametrize("drops", [1, QUICK.max_attempts])
async def test_connections_lost_before_a_late_transcript_cost_resends_and_at_last_an_apology(drops: int) -> None:
    faults = LiveFaults(
        turns=[TurnFault(transcript_lag=0.1)],
        drops=[Drop(turn=number, phase="generation_complete") for number in range(1, drops + 1)],
    )
    async with Google(faults=faults, default="Yes.") as google, talking(google, options=PATIENT) as bench:
        answer = await bench.answer("Are you there?")
        assert answer == "Yes." if drops == 1 else answer.startswith("Sorry")
        await bench.until(lambda: bool(bench.errors) == (drops > 1))
        sent = min(drops + 1, QUICK.max_attempts)
        assert [frame.attempt for frame in bench.of(TurnSentFrame)] == list(range(1, sent + 1))
        assert len(google.received("client_content")) == sent  # no nudge besides
        assert user_texts(google) == ["Are you there?"]


@pytest.mark.parametrize("silent", [1, 2])
async def test_silence_after_a_drop_is_nudged_before_the_apology(silent: int) -> None:
    faults = LiveFaults(
        drops=[Drop(turn=1, phase="answer")],
        turns=[TurnFault(turn=number, silent=True) for number in range(2, 2 + silent)],
    )
    async with Google(faults=faults, default="Yes.") as google, talking(google, options=QUICK) as bench:
        answer = await bench.answer("Are you there?")
        assert answer == "Yes." if silent == 1 else answer.startswith("Sorry")
        await bench.until(lambda: bool(bench.errors) == (silent == 2))
        assert [frame.attempt for frame in bench.of(TurnSentFrame)] == [1, 2]


@pytest.mark.parametrize("lag", [0.15, -0.15])
async def test_transcripts_may_lag_or_lead(lag: float) -> None:
    faults = LiveFaults(turns=[TurnFault(transcript_lag=lag)])
    async with Google(REPLIES, faults) as google, talking(google, options=PATIENT) as bench:
        for count in range(2):
            before = len(bench.answers)
            await bench.say(f"Tell me a story, number {count}.")
            await bench.until(lambda: "".join(bench.answers[before:]) == STORY)  # noqa: B023 - awaited at once


async def test_a_piece_after_turn_complete_is_spoken() -> None:
    faults = LiveFaults(turns=[TurnFault(turn=1, after_turn_complete=True)])
    async with Google(REPLIES, faults) as google, talking(google, options=PATIENT) as bench:
        await bench.say("Tell me a story.")
        await bench.until(lambda: "".join(bench.answers) == STORY)


async def test_a_reply_without_transcript_is_asked_for_again() -> None:
    faults = LiveFaults(turns=[TurnFault(turn=1, no_transcript=True)])
    async with Google(faults=faults, default="Yes.") as google, talking(google, options=QUICK) as bench:
        assert await bench.answer("Are you there?") == "Yes."


async def test_a_reply_without_audio_is_spoken() -> None:
    faults = LiveFaults(turns=[TurnFault(turn=1, no_audio=True)])
    async with Google(REPLIES, faults) as google, talking(google, options=PATIENT) as bench:
        assert await bench.answer("Tell me a story.") == STORY


@pytest.mark.parametrize("framing", ["bundle", "split", "random"])
async def test_any_framing_gives_the_same_text(framing: str) -> None:
    async with Google(REPLIES, LiveFaults(framing=framing)) as google, talking(google, options=PATIENT) as bench:
        assert await bench.answer("Tell me a story.") == STORY
        assert await bench.answer("Another story.") == STORY


async def test_a_message_refused_in_mid_session_is_not_sent_again_the_same_way() -> None:
    refusal = Refusal(1007, "Request contains an invalid argument.")
    faults = LiveFaults(turns=[TurnFault(turn=2, refusal=refusal), TurnFault(turn=3, refusal=refusal)])
    async with Google(faults=faults) as google, talking(google, options=PATIENT) as bench:
        await bench.answer("One.")
        assert (await bench.answer("Two.")).startswith("Sorry")
        assert any("refused a message" in error for error in bench.errors)
        attempts = [frame.attempt for frame in bench.of(TurnSentFrame) if frame.text == "Two."]
        assert attempts == [1, 2]
        assert setups(google)[1]["sessionResumption"].get("handle") is None
        assert (await bench.answer("Three.")).endswith("Three.")


async def test_slow_pongs_do_not_end_the_connection() -> None:
    from halfcascade.processors.live_socket import LIVE_SOCKET_OPTIONS

    before = dict(LIVE_SOCKET_OPTIONS)
    # On a hundredth of the time: pings every 0.3 s, pongs after 0.3 s (facts/live#keepalive: 30 s). What is waited for
    # a pong is no hundredth, because a slow machine's is not.
    LIVE_SOCKET_OPTIONS.update(ping_interval=0.3, ping_timeout=10.0)
    try:
        async with Google(faults=LiveFaults(pong_delay=0.3)) as google, talking(google, options=PATIENT) as bench:
            await bench.answer("One.")
            until = time.monotonic() + 1.5
            await bench.until(lambda: time.monotonic() > until)
            await bench.answer("Two.")
            assert len(setups(google)) == 1
    finally:
        LIVE_SOCKET_OPTIONS.update(before)
    assert before["ping_timeout"] > 30


async def test_an_hour_passes_unnoticed_on_a_compressed_clock() -> None:
    """58 minutes are 2.9 s here; the connection's 10 minutes 0.5 s."""
    options = SessionOptions(renew_after_secs=0.3, backoff_secs=0.02, answer_timeout_secs=5.0)
    async with Google(clock_scale=1200, default="Fine.") as google, talking(google, options=options) as bench:
        begun = time.monotonic()
        count = 0
        while time.monotonic() < begun + 3.5:
            count += 1
            assert await bench.answer(f"Number {count}.") == "Fine."
        assert len(setups(google)) > 3
        texts = user_texts(google)
        assert [text.split("\n")[-1] for text in texts[-3:]] == [f"Number {n}." for n in range(count - 2, count + 1)]
        assert len(bench.of(LLMFullResponseStartFrame)) == count
        assert not bench.errors


class _Door:
    """A door before a server that takes connections and lets so many of the first ones hang."""

    def __init__(self, target: int, hanging: int) -> None:
        self._target = target
        self._hanging = hanging
        self._writers: list[asyncio.StreamWriter] = []
        self._passing: list[asyncio.Task[None]] = []
        self.connections = 0

    async def __aenter__(self) -> "_Door":
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        if self.connections <= self._hanging:
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers.append(back)
        self._passing += [asyncio.create_task(_pass(reader, back)), asyncio.create_task(_pass(there, writer))]


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
    writer.close()


async def test_an_attempt_that_hangs_does_not_hold_up_the_next_and_one_session_is_set_up() -> None:
    async with Google() as google, _Door(google.server.port, hanging=1) as door:
        config = types.LiveConnectConfig(response_modalities=[types.Modality.AUDIO])
        client, began = google.client(door.port), time.monotonic()
        connection = await LiveConnection.open(client, "gemini-3.8-live", config)
        assert BESIDE_SECS <= time.monotonic() - began < OPEN_SECS
        await connection.close()
        assert door.connections >= 2 and len(google.received("setup")) == 1
