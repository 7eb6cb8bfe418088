"""The setup message and the shape of frames (facts/live#client-messages, #models, #closes)."""

from typing import Any

import pytest

from halfcascade.emulator.live.machine import Limits
from halfcascade.emulator.profiles import ThinkerProfile
from tests.emulator.live.harness import Bench, Client

TEXT = {"generationConfig": {"responseModalities": ["TEXT"]}}
TEXT_REFUSED = "The requested combination of response modalities (TEXT) is not supported by the model"


def closed(client: Client) -> tuple[int | None, str]:
    assert client.close is not None
    return client.close.code, client.close.reason


def test_setup_is_confirmed() -> None:
    assert Bench().open().messages == [{"setupComplete": {}}]


def test_vertex_adds_a_session_id() -> None:
    (message,) = Bench().open(surface="vertex", version="v1").messages
    assert message["setupComplete"]["sessionId"]


@pytest.mark.parametrize(
    "model", ["gemini-3.8-live", "gemini-3.1-flash-live-preview", "gemini-2.5-flash-native-audio-latest"]
)
def test_text_is_refused(model: str) -> None:
    assert closed(Bench().open(model, **TEXT)) == (1007, TEXT_REFUSED)


def test_vertex_half_cascade_takes_text() -> None:
    assert Bench().open("gemini-live-2.5-flash", surface="vertex", version="v1beta1", **TEXT).close is None


def test_two_modalities_are_refused() -> None:
    client = Bench().open(generationConfig={"responseModalities": ["TEXT", "AUDIO"]})
    assert closed(client)[0] == 1007
    assert "(TEXT, AUDIO)" in closed(client)[1]


@pytest.mark.parametrize("model", ["gemini-99", "gemini-live-2.5-flash"])
def test_unknown_model(model: str) -> None:
    assert closed(Bench().open(model)) == (
        1008,
        f"models/{model} is not found for API version v1beta, or is not supported for bidiGenerateContent.",
    )


def test_reason_of_a_close_fits_a_close_frame() -> None:
    client = Bench().open("m" * 200)
    assert len(closed(client)[1].encode()) == 123


@pytest.mark.parametrize(
    ("model", "thinking", "reason"),
    [
        ("gemini-3.8-live", {"thinkingLevel": "LOW"}, "Thinking level is not supported for this model"),
        ("gemini-3.8-live", {"thinkingBudget": 0}, None),
        ("gemini-3.8-live-extended-thinking", {}, "Thinking level must be specified for this model"),
        (
            "gemini-3.8-live-extended-thinking",
            {"thinkingLevel": "minimal"},
            "Thinking level MINIMAL is not supported for this model",
        ),
        ("gemini-3.8-live-extended-thinking", {"thinking_level": "LOW"}, None),
        ("gemini-3.1-flash-live-preview", {"thinkingLevel": "MINIMAL"}, None),
        ("gemini-2.5-flash-native-audio-latest", {"thinkingBudget": 128}, None),
    ],
)
def test_thinking_rules(model: str, thinking: dict[str, Any], reason: str | None) -> None:
    client = Bench().open(model, generation_config={"thinking_config": thinking})
    assert (client.close and closed(client)) == (reason and (1007, reason))


def test_unknown_name_is_refused_verbatim() -> None:
    assert closed(Bench().open(proactivity={"proactiveAudio": True})) == (
        1007,
        "Invalid JSON payload received. Unknown name \"proactivity\" at 'setup': Cannot find field.",
    )


def test_proactivity_exists_on_v1alpha_and_vertex() -> None:
    assert Bench().open(version="v1alpha", proactivity={"proactiveAudio": True}).close is None
    assert Bench().open(surface="vertex", version="v1", proactivity={"proactiveAudio": True}).close is None


def test_history_config_is_unknown_to_vertex() -> None:
    client = Bench().open(surface="vertex", version="v1", historyConfig={"initialHistoryInClientContent": True})
    assert 'Unknown name "historyConfig"' in closed(client)[1]


def test_json_schema_keywords_in_parameters_are_refused_and_free_in_json_schema() -> None:
    schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "additionalProperties": False}}}
    refused = Bench().open(tools=[{"functionDeclarations": [{"name": "f", "parameters": schema}]}])
    assert closed(refused)[0] == 1007
    assert 'Unknown name "additionalProperties"' in closed(refused)[1]
    free = Bench().open(tools=[{"function_declarations": [{"name": "f", "parameters_json_schema": schema}]}])
    assert free.close is None


def test_snake_case_is_accepted_everywhere_and_free_form_keeps_its_names() -> None:
    client = Bench().open(
        system_instruction={"parts": [{"text": "Be brief."}]},
        generation_config={"response_modalities": ["AUDIO"], "speech_config": {"language_code": "ko-KR"}},
        tools=[
            {
                "function_declarations": [
                    {"name": "f", "parameters": {"type": "OBJECT", "properties": {"snake_key": {}}}}
                ]
            }
        ],
    )
    client.say("hello")
    conversation = client.thinks[0].conversation
    assert conversation.system_instruction == "Be brief."
    assert conversation.language_code == "ko-KR"
    assert conversation.tools[0]["parameters"]["properties"] == {"snake_key": {}}


def test_blocking_tools_are_refused_by_extended_thinking() -> None:
    client = Bench().open(
        "gemini-3.8-live-extended-thinking",
        generationConfig={"thinkingConfig": {"thinkingLevel": "LOW"}},
        tools=[{"functionDeclarations": [{"name": "f", "behavior": "BLOCKING"}]}],
    )
    assert closed(client) == (1007, "BLOCKING function calls are not supported for this model")


def test_affective_dialog() -> None:
    asked: dict[str, Any] = {"generationConfig": {"enableAffectiveDialog": True}}
    assert closed(Bench().open("gemini-3.1-flash-live-preview", **asked))[0] == 1007
    client = Bench().open(**asked)
    assert client.close is None
    client.say("hello")
    assert closed(client)[0] == 1007


@pytest.mark.parametrize(
    "frame",
    [
        '{"clientContent": {}}',
        '{"setup": {"model": "models/gemini-3.8-live"}, "clientContent": {}}',
        "{}",
        "[]",
        "not json",
        b"\xff\xfe",
        '{"setup": {"model": 3}}',
        '{"setup": []}',
        '{"setup": {"model": "models/gemini-3.8-live", "tools": {}}}',
        '{"setup": {"model": "models/gemini-3.8-live", "sessionResumption": {"transparent": 1}}}',
        "[" * 100_000,
    ],
)
def test_malformed_first_frames_close_with_1007(frame: str | bytes) -> None:
    client = Bench().connect()
    client.raw(frame)
    assert closed(client)[0] == 1007


def test_a_second_setup_closes() -> None:
    client = Bench().open()
    client.send(setup={"model": "models/gemini-3.8-live"})
    assert closed(client) == (1007, "setup must be the first message and only the first")


@pytest.mark.parametrize("turn", [{"role": "system", "parts": [{"text": "x"}]}, {"parts": [{"text": "x"}]}])
def test_roles_are_checked_on_the_developer_api(turn: dict[str, Any]) -> None:
    client = Bench().open()
    client.send(clientContent={"turns": [turn], "turnComplete": True})
    assert closed(client)[0] == 1007


def test_system_role_replaces_the_instruction_on_vertex() -> None:
    client = Bench().open(surface="vertex", version="v1", systemInstruction={"parts": [{"text": "old"}]})
    client.send(clientContent={"turns": [{"role": "system", "parts": [{"text": "new"}]}], "turnComplete": False})
    client.say("hello")
    assert client.thinks[0].conversation.system_instruction == "new"
    assert client.history() == [("user", "hello")]


def test_function_parts_in_client_content_close() -> None:
    client = Bench().open()
    part = {"functionResponse": {"name": "f", "response": {}}}
    client.send(clientContent={"turns": [{"role": "user", "parts": [part]}], "turnComplete": True})
    assert closed(client)[0] == 1007


def test_context_update_changes_instruction_and_tools_on_vertex() -> None:
    client = Bench().open(surface="vertex", version="v1")
    tools = [{"functionDeclarations": [{"name": "f"}]}]
    client.send(contextUpdate={"systemInstruction": {"parts": [{"text": "new"}]}, "tools": {"tools": tools}})
    client.say("hello")
    assert client.thinks[0].conversation.system_instruction == "new"
    assert [tool["name"] for tool in client.thinks[0].conversation.tools] == ["f"]
    other = Bench().open()
    other.send(contextUpdate={"tools": {"tools": []}})
    assert closed(other)[0] == 1007


def test_messages_before_setup_complete_are_served_in_order() -> None:
    client = Bench(ThinkerProfile(setup=0.1)).open()
    client.say("hello")
    assert client.messages == []
    client.wait(0.1)
    assert client.messages[0] == {"setupComplete": {}}
    assert client.thinks[0].conversation.messages[-1].text == "hello"


def test_full_context_without_compression_closes_and_with_it_slides() -> None:
    long = "word " * 120_000
    client = Bench().open()
    client.say(long)
    assert closed(client) == (1007, "Request contains an invalid argument.")
    client = Bench(limits=Limits()).open(
        contextWindowCompression={"triggerTokens": "4000", "slidingWindow": {"targetTokens": 1000}}
    )
    for number in range(4):
        client.say(f"{number} " + "word " * 1500)
        client.think("ok")
    # 1500 words are about 1900 tokens: at the third message the window slides to the newest user turn.
    assert [text.split()[0] for role, text in client.history() if role == "user"] == ["2", "3"]
