"""Turns: what is answered, interrupted and remembered.

See facts/live#client-messages, #server-messages, #interruption, #transcripts, #tools.
"""

from typing import Any

import pytest

from halfcascade.emulator.minds.base import FunctionCall
from halfcascade.emulator.profiles import ThinkerProfile
from tests.emulator.live.harness import Bench, Client

EXTENDED: dict[str, Any] = {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}
SEEDED: dict[str, Any] = {"historyConfig": {"initialHistoryInClientContent": True}}
# A slow voice: one character a second, sent as fast as it is spoken.
SLOW = ThinkerProfile(audio_speed=1.0, speech_chars_per_second=1.0, playback_paced=True)
CALL = FunctionCall("get_time", {"zone": "Asia/Seoul"})


def with_tool(behavior: str | None = None) -> dict[str, Any]:
    tool = {"name": "get_time"} | ({"behavior": behavior} if behavior else {})
    return {"tools": [{"functionDeclarations": [tool]}]}


def call_ids(client: Client) -> list[str]:
    return [call["id"] for m in client.messages if "toolCall" in m for call in m["toolCall"]["functionCalls"]]


def respond(client: Client, identity: str, **fields: Any) -> None:
    response = {"id": identity, "name": "get_time", "response": {"time": "noon"}, **fields}
    client.send(toolResponse={"functionResponses": [response]})


# A plain turn


def test_a_turn_is_transcribed_spoken_completed_and_remembered() -> None:
    client = Bench().open()
    client.say("hello")
    client.think("Hi", " there.")
    assert client.transcript() == "Hi there."
    assert client.events()[-2:] == ["generationComplete", "turnComplete"]
    assert "interactionStatus" not in client.contents()[-1]
    assert client.history() == [("user", "hello"), ("model", "Hi there.")]


def test_text_models_send_text_parts_and_no_audio() -> None:
    text = {"generationConfig": {"responseModalities": ["TEXT"]}}
    client = Bench().open("gemini-live-2.5-flash", surface="vertex", version="v1", **text)
    client.say("hello")
    client.think("안녕", "하세요")
    parts = [part for content in client.contents() for part in content.get("modelTurn", {}).get("parts", [])]
    assert parts == [{"text": "안녕"}, {"text": "하세요"}]
    assert "outputTranscription" not in client.events()
    assert client.usage()["candidatesTokensDetails"][0]["modality"] == "TEXT"


def test_transcripts_come_only_if_asked_except_on_3_8() -> None:
    for model, expected in (("gemini-3.1-flash-live-preview", ""), ("gemini-3.8-live", "Hi")):
        client = Bench().connect()
        client.send(setup={"model": f"models/{model}"})
        client.say("hello")
        client.think("Hi")
        assert client.transcript() == expected
        assert any("modelTurn" in content for content in client.contents())


def test_fields_that_are_due_together_share_a_message_on_3_x_only() -> None:
    for model, shared in (("gemini-3.8-live", True), ("gemini-2.5-flash-native-audio-latest", False)):
        client = Bench().open(model)
        client.say("hello")
        client.think("Hi")
        assert any({"modelTurn", "outputTranscription"} <= set(content) for content in client.contents()) is shared


def test_3_x_sends_empty_frames() -> None:
    client = Bench().open()
    client.say("hello")
    assert client.messages[-2:] == [{}, {"serverContent": {}}]


def test_2_5_sends_thought_parts_that_are_not_remembered() -> None:
    client = Bench().open("gemini-2.5-flash-native-audio-latest")
    client.say("hello")
    client.think("Hi")
    parts = [part for content in client.contents() for part in content.get("modelTurn", {}).get("parts", [])]
    assert parts[0]["thought"] is True
    assert client.history()[-1] == ("model", "Hi")


def test_audio_is_sent_faster_than_speech_and_turn_complete_waits_for_playback() -> None:
    bench = Bench(ThinkerProfile(audio_speed=4.0, speech_chars_per_second=10.0, playback_paced=True))
    client = bench.open()
    client.say("tell me")
    client.think("x" * 80)
    client.wait(20)
    assert client.at("generationComplete") == [pytest.approx(2.0)]
    assert client.at("turnComplete") == [pytest.approx(8.0)]
    seconds = sum(
        len(part["inlineData"]["data"]) * 3 / 4 / 48_000
        for content in client.contents()
        for part in content.get("modelTurn", {}).get("parts", [])
    )
    assert seconds == pytest.approx(8.0, abs=0.01)


def test_transcripts_lead_their_audio_by_the_profiles_lag() -> None:
    client = Bench(ThinkerProfile(audio_lag=0.24)).open()
    client.say("hello")
    client.think("Hi")
    client.wait(1)
    assert client.at("modelTurn")[0] - client.at("outputTranscription")[0] == pytest.approx(0.24)


def test_usage_counts_a_growing_context_and_audio_at_25_tokens_a_second() -> None:
    client = Bench(ThinkerProfile(speech_chars_per_second=10.0)).open()
    client.say("hello")
    client.think("x" * 100)
    first = client.usage()
    assert first["responseTokensDetails"] == [{"modality": "AUDIO", "tokenCount": 250}]
    assert first["thoughtsTokenCount"] > 0
    assert first["totalTokenCount"] == first["promptTokenCount"] + first["responseTokenCount"]
    client.say("more")
    client.think("y")
    assert client.usage()["promptTokenCount"] > first["promptTokenCount"]
    assert client.usage()["responseTokenCount"] < first["responseTokenCount"]


def test_extended_thinking_reports_its_interaction_status() -> None:
    client = Bench().open("gemini-3.8-live-extended-thinking", **EXTENDED)
    client.say("hello")
    client.think("Hi")
    assert client.contents()[-1] == {"turnComplete": True, "interactionStatus": "IDLE"}


def test_an_empty_reply_still_ends_its_turn() -> None:
    client = Bench().open()
    client.say("hello")
    client.think()
    assert client.events()[-2:] == ["generationComplete", "turnComplete"]
    assert client.history() == [("user", "hello")]


def test_a_broken_thinker_closes_with_1011() -> None:
    client = Bench().open()
    client.say("hello")
    client.machine.thought_failed(client.thinks[-1].reply, 0.0)
    assert [action.code for action in client.machine.take_actions() if hasattr(action, "code")] == [1011]


# What starts a turn


def test_turn_complete_false_appends_and_waits() -> None:
    client = Bench().open()
    client.say("My name is Alice.", complete=False)
    client.say("Nice to meet you.", complete=False, role="model")
    assert client.thinks == []
    client.say("What is my name?")
    assert [message.text for message in client.thinks[0].conversation.messages] == [
        "My name is Alice.",
        "Nice to meet you.",
        "What is my name?",
    ]


def test_an_empty_turn_answers_what_was_appended() -> None:
    client = Bench().open()
    client.say("hello", complete=False)
    client.send(clientContent={"turnComplete": True})
    assert len(client.thinks) == 1


def test_an_empty_turn_while_idle_is_answered_by_nothing_or_a_filler() -> None:
    client = Bench().open()
    client.send(clientContent={"turns": [], "turnComplete": True})
    assert client.messages == [{"setupComplete": {}}]
    client = Bench().open("gemini-3.8-live-extended-thinking", **EXTENDED)
    client.send(clientContent={"turns": [], "turnComplete": True})
    assert client.thinks == []
    assert client.transcript()
    assert client.events()[-2:] == ["turnComplete", "interactionStatus"]


def test_seeded_history_starts_no_turn_and_realtime_text_does() -> None:
    client = Bench().open(**SEEDED)
    client.say("My name is Alice.", complete=False)
    client.say("Nice to meet you.", role="model")
    client.say("What is my name?")
    assert client.thinks == []
    client.send(realtimeInput={"text": " "})
    assert [message.text for message in client.thinks[0].conversation.messages] == [
        "My name is Alice.",
        "Nice to meet you.",
        "What is my name?",
    ]


def test_realtime_text_is_a_user_turn() -> None:
    client = Bench().open()
    client.send(realtime_input={"text": "hello"})
    client.think("Hi")
    assert client.history() == [("user", "hello"), ("model", "Hi")]


def test_realtime_text_while_generating_is_answered_afterwards() -> None:
    client = Bench(SLOW).open()
    client.say("one")
    client.think("1")
    client.send(realtimeInput={"text": "two"})
    client.wait(5)
    assert "interrupted" not in client.events()
    assert client.thinks[-1].conversation.messages[-1].text == "two"


def test_realtime_audio_is_counted_and_starts_nothing() -> None:
    client = Bench().open()
    client.send(realtimeInput={"audio": {"data": "AAAA", "mimeType": "audio/pcm;rate=16000"}})
    client.send(realtimeInput={"activityStart": {}})
    assert client.machine.audio_bytes == 3
    assert client.thinks == []


# Interruptions


def test_client_content_interrupts_and_only_what_was_sent_stays() -> None:
    client = Bench(SLOW).open()
    client.say("a story")
    client.think("abc", end=False)
    client.wait(1.0)
    client.think(" def", end=False)
    client.wait(1.5)
    client.say("stop")
    assert client.stopped == [client.thinks[0].reply]
    assert client.events()[-2:] == ["interrupted", "turnComplete"]
    assert "generationComplete" not in client.events()
    assert client.history() == [("user", "a story"), ("model", "abc def"), ("user", "stop")]
    sent = client.transcript()
    client.machine.thought(client.thinks[0].reply, " late", client.bench.now)
    client.wait(20)
    assert client.transcript() == sent


def test_what_was_planned_but_not_sent_is_not_remembered() -> None:
    client = Bench(ThinkerProfile(transcript_lag=1.0)).open()
    client.say("a story")
    client.think("abc", end=False)
    client.wait(0.5)
    client.think(" def", end=False)
    client.wait(0.6)
    client.say("stop")
    assert client.history() == [("user", "a story"), ("model", "abc"), ("user", "stop")]


def test_interruption_takes_its_time_and_the_next_answer_follows_its_end() -> None:
    client = Bench(ThinkerProfile(interrupt=0.07, interrupt_end=0.4, audio_speed=1.0)).open()
    client.say("a story")
    client.think("Once upon a time " * 9, end=False)
    client.say("stop")
    assert "interrupted" not in client.events()
    client.wait(0.07)
    client.think("Sure.")
    client.wait(2)
    assert client.at("interrupted") == [pytest.approx(0.07)]
    assert client.at("turnComplete")[0] == pytest.approx(0.47)
    assert client.at("outputTranscription")[-1] >= 0.47


def test_an_empty_turn_while_generating_cancels_without_a_new_answer() -> None:
    client = Bench(SLOW).open()
    client.say("a story")
    client.think("abc", end=False)
    client.send(clientContent={"turns": [], "turnComplete": True})
    assert client.events()[-2:] == ["interrupted", "turnComplete"]
    assert len(client.thinks) == 1


def test_turn_complete_false_interrupts_too() -> None:
    client = Bench(SLOW).open()
    client.say("a story")
    client.think("abc", end=False)
    client.say("(the user heard only: abc)", complete=False)
    assert client.events()[-2:] == ["interrupted", "turnComplete"]
    assert len(client.thinks) == 1
    assert client.history()[-1] == ("user", "(the user heard only: abc)")


def test_2_5_answers_text_in_order_instead() -> None:
    client = Bench(SLOW).open("gemini-2.5-flash-native-audio-latest")
    client.say("one")
    client.think("1")
    client.say("two")
    client.wait(10)
    assert "interrupted" not in client.events()
    assert client.thinks[-1].conversation.messages[-1].text == "two"


@pytest.mark.parametrize("message", [{"clientContent": {}}, {"realtimeInput": {}}])
def test_a_message_during_playback_counts_as_an_interruption_but_everything_stays(message: dict[str, Any]) -> None:
    client = Bench(ThinkerProfile(speech_chars_per_second=1.0, playback_paced=True)).open()
    client.say("hello")
    client.think("Hi there.")
    client.wait(0.1)
    if "clientContent" in message:
        client.say("next")
    else:
        client.send(realtimeInput={"text": "next"})
    assert client.events()[-3:] == ["generationComplete", "interrupted", "turnComplete"]
    assert client.history() == [("user", "hello"), ("model", "Hi there."), ("user", "next")]
    assert len(client.thinks) == 2


def test_interruption_before_the_first_word() -> None:
    client = Bench().open()
    client.say("one")
    client.say("two")
    assert client.events()[-2:] == ["interrupted", "turnComplete"]
    assert client.history() == [("user", "one"), ("user", "two")]
    client.think("2")
    assert client.transcript() == "2"


# Tools


def test_a_blocking_call_pauses_the_turn_until_answered() -> None:
    client = Bench().open("gemini-3.1-flash-live-preview", **with_tool())
    client.say("what time is it?")
    client.think("Let me see.", CALL)
    (identity,) = call_ids(client)
    assert "generationComplete" not in client.events()
    respond(client, identity)
    conversation = client.thinks[-1].conversation
    assert conversation.messages[-1].parts[0].response == {"time": "noon"}
    assert [type(part).__name__ for part in conversation.messages[-2].parts] == ["str", "FunctionCall"]
    client.think("It is noon.")
    assert client.events().count("turnComplete") == 1
    assert client.history()[-1] == ("model", "It is noon.")


def test_several_blocking_calls_all_have_to_be_answered() -> None:
    client = Bench().open(**with_tool("BLOCKING"))
    client.say("what time is it?")
    client.think(CALL, CALL)
    first, second = call_ids(client)
    respond(client, second)
    assert len(client.thinks) == 1
    respond(client, first)
    assert len(client.thinks) == 2


def test_a_non_blocking_call_ends_its_turn_and_its_result_starts_one() -> None:
    client = Bench().open(**with_tool())
    client.say("what time is it?")
    client.think(CALL)
    assert client.events()[-3:] == ["toolCall", "generationComplete", "turnComplete"]
    respond(client, call_ids(client)[0])
    client.think("It is noon.")
    assert client.transcript() == "It is noon."


def test_a_result_that_comes_while_the_model_speaks_waits_until_it_is_idle() -> None:
    client = Bench(SLOW).open(**with_tool())
    client.say("what time is it?")
    client.think(CALL)
    client.say("and tell me a joke")
    client.think("Knock")
    client.wait(0.5)
    respond(client, call_ids(client)[0])
    assert len(client.thinks) == 2
    client.wait(10)
    assert len(client.thinks) == 3
    assert "interrupted" not in client.events()


def test_scheduling() -> None:
    client = Bench().open(**with_tool())
    client.say("what time is it?")
    client.think(CALL)
    respond(client, call_ids(client)[0], scheduling="WHEN_IDLE")
    assert client.close is not None
    assert client.close.reason == "Function response scheduling is not supported for this model"

    fast = ThinkerProfile(audio_speed=4.0, speech_chars_per_second=1.0, playback_paced=True)
    older = Bench(fast).open("gemini-2.5-flash-native-audio-latest", **with_tool("NON_BLOCKING"))
    older.say("what time is it?")
    older.think("Let me see.", CALL)
    older.wait(5)
    respond(older, call_ids(older)[0], scheduling="INTERRUPT")
    assert older.events()[-3:] == ["generationComplete", "interrupted", "turnComplete"]
    assert len(older.thinks) == 2


def test_a_silent_result_starts_nothing() -> None:
    client = Bench().open("gemini-2.5-flash-native-audio-latest", **with_tool("NON_BLOCKING"))
    client.say("what time is it?")
    client.think(CALL)
    respond(client, call_ids(client)[0], scheduling="SILENT")
    assert len(client.thinks) == 1


def test_an_unknown_id_is_ignored() -> None:
    client = Bench().open(**with_tool())
    client.say("what time is it?")
    client.think(CALL)
    before = len(client.messages)
    respond(client, "nobody-asked")
    assert client.close is None
    assert len(client.messages) == before
    assert len(client.thinks) == 1


def test_vertex_finds_calls_by_name() -> None:
    client = Bench().open(surface="vertex", version="v1", **with_tool())
    client.say("what time is it?")
    client.think(CALL)
    client.send(toolResponse={"functionResponses": [{"name": "get_time", "response": {}}]})
    assert len(client.thinks) == 2


def test_an_interruption_cancels_the_pending_call() -> None:
    client = Bench().open("gemini-3.1-flash-live-preview", **with_tool())
    client.say("what time is it?")
    client.think(CALL)
    (identity,) = call_ids(client)
    client.say("never mind")
    assert {"toolCallCancellation": {"ids": [identity]}} in client.messages
    assert client.history() == [("user", "what time is it?"), ("user", "never mind")]
    respond(client, identity)
    assert len(client.thinks) == 2


def test_a_pending_non_blocking_call_survives_the_next_turn() -> None:
    client = Bench().open(**with_tool())
    client.say("what time is it?")
    client.think(CALL)
    client.say("hello")
    client.think("Hi")
    assert "toolCallCancellation" not in client.events()
    respond(client, call_ids(client)[0])
    assert len(client.thinks) == 3
