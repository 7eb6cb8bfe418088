"""Connections, sessions and handles: how they end and what comes back (facts/live#lifetime, #closes)."""

from typing import Any

import pytest

from halfcascade.emulator.live.machine import Limits
from halfcascade.emulator.minds.base import FunctionCall
from halfcascade.emulator.profiles import ThinkerProfile
from tests.emulator.live.harness import Bench, Client

DEADLINE = "Deadline expired before operation could complete."
ASKED: dict[str, Any] = {"sessionResumption": {}}
COMPRESSED: dict[str, Any] = {"contextWindowCompression": {"slidingWindow": {}}}


def resume(bench: Bench, handle: str, **setup: Any) -> Client:
    return bench.open(**{"sessionResumption": {"handle": handle}, **setup})


def test_handles_come_only_if_asked() -> None:
    client = Bench().open()
    client.say("hello")
    client.think("Hi")
    assert "resumable" not in client.events()


def test_a_session_is_not_resumable_while_generating() -> None:
    client = Bench().open(**ASKED)
    client.say("hello")
    client.think("Hi")
    order = [
        event
        for event in client.events()
        if event in ("resumable", "not resumable", "generationComplete", "turnComplete")
    ]
    assert order == ["resumable", "not resumable", "generationComplete", "turnComplete", "resumable"]


def test_a_session_is_not_resumable_while_functions_run() -> None:
    client = Bench().open(**ASKED, tools=[{"functionDeclarations": [{"name": "f"}]}])
    client.say("hello")
    client.think(FunctionCall("f", {}))
    assert client.events()[-1] == "turnComplete"
    identity = next(m["toolCall"]["functionCalls"][0]["id"] for m in client.messages if "toolCall" in m)
    client.send(toolResponse={"functionResponses": [{"id": identity, "name": "f", "response": {}}]})
    client.think("Done")
    assert client.events()[-1] == "resumable"


def test_transparent_updates_name_the_last_message() -> None:
    client = Bench().open(sessionResumption={"transparent": True})
    client.say("hello")
    client.think("Hi")
    assert client.messages[-1]["sessionResumptionUpdate"]["lastConsumedClientMessageIndex"] == "1"


def test_resumption_restores_the_conversation() -> None:
    bench = Bench()
    first = bench.open(**ASKED)
    first.say("My name is Alice.")
    first.think("Nice to meet you.")
    first.hang_up()
    second = resume(bench, first.handle())
    second.say("What is my name?")
    assert [message.text for message in second.thinks[0].conversation.messages] == [
        "My name is Alice.",
        "Nice to meet you.",
        "What is my name?",
    ]


def test_what_came_after_the_handle_is_lost() -> None:
    bench = Bench()
    first = bench.open(**ASKED)
    first.say("one")
    first.think("1")
    first.say("two")
    first.think("2, and so on", end=False)
    first.hang_up()
    second = resume(bench, first.handle())
    assert second.history() == [("user", "one"), ("model", "1")]


def test_an_older_handle_restores_an_older_state() -> None:
    bench = Bench()
    first = bench.open(**ASKED)
    oldest = first.handle()
    first.say("one")
    first.think("1")
    first.hang_up()
    assert resume(bench, oldest).history() == []


def test_resuming_while_the_old_socket_is_open_closes_with_1011() -> None:
    bench = Bench()
    first = bench.open(**ASKED)
    second = resume(bench, first.handle())
    assert second.close is not None
    assert second.close.code == 1011
    assert first.close is None
    first.hang_up()
    assert resume(bench, first.handle()).close is None


@pytest.mark.parametrize(("waited", "code"), [(7000, None), (7300, 1008)])
def test_handles_are_good_for_two_hours(waited: float, code: int | None) -> None:
    bench = Bench()
    first = bench.open(**ASKED)
    first.hang_up()
    bench.now += waited
    second = resume(bench, first.handle())
    assert (second.close and second.close.code) == code


def test_an_unknown_handle_closes_with_1007() -> None:
    second = resume(Bench(), "made-up")
    assert second.close is not None
    assert (second.close.code, second.close.reason) == (1007, "Invalid session handle")


def test_the_model_may_not_change_and_the_instruction_may() -> None:
    bench = Bench()
    first = bench.open(**ASKED, systemInstruction={"parts": [{"text": "old"}]})
    first.hang_up()
    other = resume(bench, first.handle(), model="gemini-3.1-flash-live-preview")
    assert other.close is not None
    assert other.close.code == 1007
    second = resume(bench, first.handle(), systemInstruction={"parts": [{"text": "new"}]})
    second.say("hello")
    assert second.thinks[0].conversation.system_instruction == "new"


def test_go_away_comes_before_the_connection_limit() -> None:
    client = Bench().open(**COMPRESSED)
    client.wait(549)
    assert "goAway" not in client.events()
    client.wait(2)
    assert client.messages[-1] == {"goAway": {"timeLeft": "50s"}}
    client.wait(48)
    assert client.close is None
    client.wait(1)
    assert client.close is not None
    assert (client.close.code, client.close.reason) == (1011, DEADLINE)


def test_vertex_closes_with_1000() -> None:
    client = Bench().open(surface="vertex", version="v1", **COMPRESSED)
    client.wait(600)
    assert client.close is not None
    assert (client.close.code, client.close.reason) == (1000, "The operation was cancelled.")


def chain(bench: Bench, **setup: Any) -> tuple[Client, float]:
    """Resume on every goAway until the session itself is closed; give its last connection and its age."""
    client = bench.open(**ASKED, **setup)
    for _ in range(20):
        while client.close is None and "goAway" not in client.events():
            client.wait(1)
        if client.close is not None:
            client.hang_up()
            return client, bench.now
        client.hang_up()
        client = resume(bench, client.handle(), **setup)
        assert client.close is None
    raise AssertionError("the session never ends")


def test_a_session_without_compression_ends_after_15_minutes_for_good() -> None:
    bench = Bench()
    client, age = chain(bench)
    assert age == pytest.approx(900, abs=2)
    again = resume(bench, client.handle())
    assert again.close is not None
    assert again.close.code == 1008


def test_a_compressed_session_ends_after_58_minutes_and_can_be_resumed() -> None:
    bench = Bench()
    client, age = chain(bench, **COMPRESSED)
    assert age == pytest.approx(58 * 60, abs=2)
    assert client.close is not None
    assert (client.close.code, client.close.reason) == (1011, DEADLINE)
    again = resume(bench, client.handle(), **COMPRESSED)
    again.wait(120)
    assert again.close is None


def test_limits_scale() -> None:
    client = Bench(limits=Limits().scaled(600)).open(**COMPRESSED)
    client.wait(1.0)
    assert client.close is not None
    assert client.messages[-1] == {"goAway": {"timeLeft": "0.0833333s"}}


def test_a_hang_up_ends_everything() -> None:
    client = Bench(ThinkerProfile(audio_speed=1.0)).open()
    client.say("hello")
    client.think("Hi there, how are you?")
    client.hang_up()
    assert client.machine.next_at is None
    assert client.machine.closed


def test_many_sessions_leave_little_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A week of use must not fill memory: what nobody can come back to goes, and the oldest of the rest."""
    monkeypatch.setattr("halfcascade.emulator.live.session._MOST_SESSIONS", 50)
    bench = Bench()
    open_all_along = bench.open(**ASKED)
    for _ in range(150):
        bench.open(**ASKED).hang_up()
        bench.open().hang_up()
    store = bench.store
    assert len(store.sessions) <= 52
    assert len(store._snapshots) <= 52
    assert open_all_along.machine.session in store.sessions
    bench.now += 3 * 3600.0
    bench.open().hang_up()
    assert store.sessions == [open_all_along.machine.session]


def test_a_long_session_keeps_its_newest_handles_only() -> None:
    bench = Bench()
    client = bench.open(**ASKED)
    oldest = client.handle()
    for number in range(150):
        client.say(str(number))
        client.think("yes")
    newest = client.handle()
    client.hang_up()
    assert len(bench.store._snapshots) == 100
    assert resume(bench, newest).close is None
    refused = resume(bench, oldest).close
    assert refused is not None
    assert refused.code == 1007
