"""Scripted faults: each happens where it was told to, and only there."""

from typing import Any

import pytest

from halfcascade.emulator.live.errors import Refusal
from halfcascade.emulator.live.faults import Drop, DropPhase, GoAway, LiveFaults, TurnFault
from halfcascade.emulator.minds.base import FunctionCall
from halfcascade.emulator.profiles import ThinkerProfile
from tests.emulator.live.harness import Bench, Client

ASKED: dict[str, Any] = {"sessionResumption": {}}
SPOKEN = ThinkerProfile(audio_speed=4.0, speech_chars_per_second=10.0, playback_paced=True)


def turn(client: Client, *pieces: str) -> None:
    client.say("hello")
    if client.thinks and client.close is None:
        client.think(*pieces)
    client.wait(30)


@pytest.mark.parametrize(
    ("phase", "text", "last"),
    [
        ("answer", "", "serverContent"),
        ("deltas", "one two", "outputTranscription"),
        ("generation_complete", "one two three", "generationComplete"),
        ("turn_complete", "one two three", "generationComplete"),
        ("after", "one two three", "turnComplete"),
    ],
)
def test_drops(phase: DropPhase, text: str, last: str) -> None:
    bench = Bench(SPOKEN, LiveFaults(drops=[Drop(turn=2, phase=phase, deltas=2)]))
    client = bench.open()
    turn(client, "all", " fine")
    assert client.close is None
    client.news()
    start = len(client.transcript())
    turn(client, "one", " two", " three")
    assert client.close is not None
    assert client.close.code is None
    assert client.transcript()[start:] == text
    assert client.events()[-1] == last or phase == "answer"
    # Sent again on a new connection, the turn goes through.
    client.hang_up()
    again = bench.open()
    turn(again, "one")
    assert again.close is None


def test_a_drop_after_a_tool_call_with_a_code() -> None:
    faults = LiveFaults(drops=[Drop(turn=1, phase="tool_call", code=1011, reason="Internal error encountered.")])
    client = Bench(faults=faults).open(tools=[{"functionDeclarations": [{"name": "f"}]}])
    client.say("hello")
    client.think(FunctionCall("f", {}))
    assert client.events()[-1] == "toolCall"
    assert client.close is not None
    assert client.close.code == 1011


def test_go_away_with_notice_at_a_time() -> None:
    client = Bench(faults=LiveFaults(go_aways=[GoAway(at=3.0, time_left=50.0)])).open()
    client.wait(3)
    assert client.messages[-1] == {"goAway": {"timeLeft": "50s"}}
    turn(client, "still here")
    assert client.transcript() == "still here"
    client.wait(20)
    assert client.close is not None
    assert client.close.code == 1011


def test_go_away_without_notice_at_a_turn() -> None:
    client = Bench(faults=LiveFaults(go_aways=[GoAway(turn=2, time_left=0.0)])).open()
    turn(client, "fine")
    client.say("hello")
    assert {"goAway": {"timeLeft": "0s"}} in client.messages
    assert client.close is not None
    assert client.transcript() == "fine"


def test_go_away_may_fall_silent_and_strike_once() -> None:
    bench = Bench(faults=LiveFaults(go_aways=[GoAway(time_left=5.0, mute=True)]))
    client = bench.open()
    turn(client, "nobody hears this")
    assert client.events()[-1] == "goAway"
    assert client.close is not None
    client.hang_up()
    assert "goAway" not in bench.open().events()


def test_refused_handles_and_setups() -> None:
    bench = Bench(faults=LiveFaults(refuse_handles=1))
    first = bench.open(**ASKED)
    first.hang_up()
    for expected in ((1007, "Invalid session handle"), None):
        second = bench.open(sessionResumption={"handle": first.handle()})
        assert (second.close and (second.close.code, second.close.reason)) == expected
    bench = Bench(faults=LiveFaults(refuse_setups=2))
    assert [bool(bench.open().close) for _ in range(3)] == [True, True, False]


def test_the_server_may_believe_for_a_while_that_the_old_socket_is_open() -> None:
    bench = Bench(faults=LiveFaults(forget_closed_after=0.5))
    first = bench.open(**ASKED)
    first.hang_up()
    second = bench.open(sessionResumption={"handle": first.handle()})
    assert second.close is not None
    assert second.close.code == 1011
    bench.now += 0.6
    assert bench.open(sessionResumption={"handle": first.handle()}).close is None


def test_a_resumed_session_may_keep_its_instruction() -> None:
    bench = Bench(faults=LiveFaults(keep_instruction=True))
    first = bench.open(**ASKED, systemInstruction={"parts": [{"text": "old"}]})
    first.hang_up()
    second = bench.open(sessionResumption={"handle": first.handle()}, systemInstruction={"parts": [{"text": "new"}]})
    second.say("hello")
    assert second.thinks[0].conversation.system_instruction == "old"


def test_silent_turns() -> None:
    client = Bench(faults=LiveFaults(turns=[TurnFault(1, silent=True), TurnFault(2, silent=True)])).open()
    client.say("hello")
    client.say("are you there?")
    client.wait(60)
    assert client.messages == [{"setupComplete": {}}]
    client.say("hello?")
    client.think("Yes.")
    assert client.transcript() == "Yes."


@pytest.mark.parametrize("lag", [-1.0, 0.0, 0.5])
def test_transcript_lag(lag: float) -> None:
    client = Bench(SPOKEN, LiveFaults(turns=[TurnFault(transcript_lag=lag)])).open()
    turn(client, "a" * 20, "b" * 20)
    texts, audios = client.at("outputTranscription"), client.at("modelTurn")
    assert texts[0] - audios[0] == pytest.approx(lag)
    assert client.transcript() == "a" * 20 + "b" * 20
    if lag > 0:
        assert texts[1] == pytest.approx(audios[0] + 0.5 + lag)


def test_late_transcripts_trail_the_end_of_the_turn() -> None:
    client = Bench(faults=LiveFaults(turns=[TurnFault(transcript_lag=1.0)])).open()
    turn(client, "Hi")
    assert client.events()[-1] == "outputTranscription"
    client = Bench(SPOKEN, LiveFaults(turns=[TurnFault(after_turn_complete=True)])).open()
    turn(client, "Hi", " there", ".")
    assert client.events()[-2:] == ["turnComplete", "outputTranscription"]
    assert client.transcript() == "Hi there."
    assert client.history()[-1] == ("model", "Hi there.")


def test_audio_without_transcript_and_transcript_without_audio() -> None:
    faults = LiveFaults(turns=[TurnFault(1, no_transcript=True), TurnFault(2, no_audio=True)])
    client = Bench(faults=faults).open()
    turn(client, "Mm-hm.")
    assert client.transcript() == ""
    assert client.at("modelTurn")
    assert client.history()[-1] == ("model", "Mm-hm.")
    spoken = len(client.at("modelTurn"))
    turn(client, "Hi")
    assert client.transcript() == "Hi"
    assert len(client.at("modelTurn")) == spoken


def test_a_phantom_transcript_after_a_tool_call() -> None:
    client = Bench(faults=LiveFaults(turns=[TurnFault(1, phantom="Asia/Seoul")])).open(
        "gemini-3.1-flash-live-preview", tools=[{"functionDeclarations": [{"name": "f"}]}]
    )
    client.say("hello")
    client.think(FunctionCall("f", {"zone": "Asia/Seoul"}))
    assert client.transcript() == "Asia/Seoul"
    assert client.history() == [("user", "hello"), ("model", "")]


def test_1007_in_mid_session() -> None:
    refusal = Refusal(1007, "Request contains an invalid argument.")
    client = Bench(faults=LiveFaults(turns=[TurnFault(2, refusal=refusal)])).open()
    turn(client, "fine")
    client.say("hello")
    assert client.close is not None
    assert client.close.code == 1007


def test_interrupted_may_come_after_turn_complete() -> None:
    client = Bench(faults=LiveFaults(interrupted_after_turn_complete=True)).open()
    client.say("one")
    client.think("1", end=False)
    client.say("two")
    assert client.events()[-2:] == ["turnComplete", "interrupted"]


def test_bundles() -> None:
    client = Bench(faults=LiveFaults(framing="bundle")).open()
    turn(client, "one", " two", " three")
    (content,) = client.contents()
    assert content["outputTranscription"]["text"] == "one two three"
    assert content["generationComplete"]
    assert content["turnComplete"]
    assert len(content["modelTurn"]["parts"]) >= 3
    assert client.usage()


def test_text_parts_are_split_too() -> None:
    client = Bench(faults=LiveFaults(framing="split")).open(
        "gemini-live-2.5-flash", surface="vertex", generationConfig={"responseModalities": ["TEXT"]}
    )
    turn(client, "one", " two", " three", " four")
    parts = [part["text"] for content in client.contents() for part in content.get("modelTurn", {}).get("parts", [])]
    assert "".join(parts) == "one two three four"
    assert len(parts) == 8


@pytest.mark.parametrize("framing", ["split", "random"])
def test_split_and_random_frames_lose_nothing_and_repeat(framing: Any) -> None:
    def run() -> list[dict[str, Any]]:
        client = Bench(faults=LiveFaults(framing=framing, seed=7)).open()
        turn(client, "one", " two", " three", " four")
        assert client.transcript() == "one two three four"
        assert client.events()[-1] == "turnComplete"
        return client.messages

    assert run() == run()
    assert len([m for m in run() if "outputTranscription" in m.get("serverContent", {})]) != 4
