"""The profile ``faithful``: kinds, order and fields of messages in twelve recorded talks (facts/live#recorded).

Of each recording only its shape is written down: neighbours of one kind count once. What one recording does and another
of the same model does not (a thought, a turn without audio) is told to the emulator as a fault.
"""

import json
from typing import Any, Literal

import pytest

from halfcascade.emulator.bugs import add_bug
from halfcascade.emulator.faults import Faults
from halfcascade.emulator.live.faults import LiveFaults, TurnFault
from halfcascade.emulator.live.voice import ScriptedVoice
from halfcascade.emulator.minds.base import FunctionCall, Hypothesis
from halfcascade.emulator.profiles import load_profile
from tests.emulator.live.harness import Bench, Client
from tests.emulator.live.test_ears import hush, tone

PIECES = (" one two", " three")
DEVELOPER = "promptTokenCount,promptTokensDetails,responseTokenCount,responseTokensDetails,"
END = f"turnComplete&usage({DEVELOPER}totalTokenCount)"
THOUGHT_END = f"turnComplete&usage({DEVELOPER}thoughtsTokenCount,totalTokenCount)"
VERTEX_END = (
    "turnComplete&groundingMetadata&usage(candidatesTokenCount,candidatesTokensDetails,promptTokenCount,"
    "promptTokensDetails,totalTokenCount)"
)
AUDIO, OLD = "audio[audio/pcm;rate=24000]", "gemini-2.5-flash-native-audio-preview-09-2025"
SPOKEN = ["ouTtext", AUDIO, "ouTtext", AUDIO, "generationComplete"]
VERTEX_SPOKEN = ["ouT{}", "ouTtext", "ouTfinished", "audio[audio/pcm]+role", "generationComplete", VERTEX_END]
PACKED = ["sc{}", f"{AUDIO}&ouTtext", AUDIO, f"{AUDIO}&ouTtext", AUDIO, "generationComplete", END]
CALL = "toolCall(name,args,id)"
Turn = tuple[Literal["text", "history", "audio", "results"], list[str]]


def named(name: str) -> LiveFaults:
    faults = Faults()
    add_bug(faults, name)
    return faults.live


RECORDED: dict[str, tuple[str, LiveFaults, list[Turn]]] = {
    "vertex, text": ("gemini-live-2.5-flash", LiveFaults(), [("text", VERTEX_SPOKEN)]),
    "2.5, the turn waits": (
        OLD,
        LiveFaults(turns=[TurnFault(turn=2, thought=False)]),
        [("text", [CALL]), ("results", [*SPOKEN, END]), ("text", [*SPOKEN, END])],
    ),
    "2.5, microphone": (OLD, LiveFaults(), [("audio", ["inTtext", "thought", *SPOKEN, THOUGHT_END])]),
    "2.5, history": (OLD, LiveFaults(), [("history", ["thought", *SPOKEN, THOUGHT_END])]),
    "2.5, text": (OLD, LiveFaults(), [("text", ["thought", *SPOKEN, THOUGHT_END])]),
    "2.5, tools": (OLD, LiveFaults(), [("text", [CALL]), ("results", [*SPOKEN, END])]),
    "vertex, history": ("gemini-live-2.5-flash", LiveFaults(), [("history", VERTEX_SPOKEN)]),
    "3.1, history, no audio": (
        "gemini-3.1-flash-live-preview",
        named("turn-without-audio"),
        [
            (
                "history",
                [
                    "sc{}",
                    "ouTtext",
                    "generationComplete",
                    "turnComplete&usage(promptTokenCount,promptTokensDetails,totalTokenCount)",
                ],
            )
        ],
    ),
    "2.5 latest, history": (
        "gemini-2.5-flash-native-audio-latest",
        LiveFaults(),
        [("history", ["thought", *SPOKEN, THOUGHT_END])],
    ),
    "vertex, tools": (
        "gemini-live-2.5-flash",
        LiveFaults(),
        [("text", ["ouT{}", CALL]), ("results", ["ouTfinished", "generationComplete", VERTEX_END, *VERTEX_SPOKEN])],
    ),
    "3.1, tools": (
        "gemini-3.1-flash-live-preview",
        named("unasked-update"),
        [("text", ["sc{}", CALL]), ("results", ["sessionResumptionUpdate", *PACKED])],
    ),
    "2.5 latest, tools": (
        "gemini-2.5-flash-native-audio-latest",
        LiveFaults(turns=[TurnFault(turn=1, thought=True)]),
        [("text", ["thought", CALL]), ("results", [*SPOKEN, THOUGHT_END])],
    ),
}


def kind(message: dict[str, Any]) -> str:
    """Name a message by its fields."""
    names = []
    for key, value in message.items():
        if key == "serverContent":
            names += [_content_kind(*item) for item in sorted(value.items())] or ["sc{}"]
        elif key == "usageMetadata":
            names.append(f"usage({','.join(sorted(value))})")
        elif key == "toolCall":
            names.append(f"toolCall({','.join(value['functionCalls'][0])})")
        else:
            names.append(key)
    return "&".join(sorted(names, key=_place)) or "{}"


def _place(name: str) -> int:
    ends = ("turnComplete", "groundingMetadata", "usage")
    bare = name.partition("(")[0]
    return ends.index(bare) if bare in ends else -1


def _content_kind(name: str, value: Any) -> str:
    if name == "modelTurn":
        part = value["parts"][0]
        what = "thought" if part.get("thought") else f"audio[{part['inlineData']['mimeType']}]"
        return what + ("+role" if "role" in value else "")
    if "ranscription" in name:
        return f"{name[:2]}T" + ("{}" if not value else "+".join(sorted(value)))
    return name


def collapsed(kinds: list[str]) -> list[str]:
    return [one for number, one in enumerate(kinds) if not number or kinds[number - 1] != one]


def play(client: Client, how: str, calls: list[dict[str, Any]]) -> None:
    match how:
        case "text":
            client.say("hello")
        case "history":
            client.say("Hello.", complete=False)
            client.say("I see.", complete=False, role="model")
            client.say("And now?")
        case "results":
            answers = [{"id": call["id"], "name": call["name"], "response": {"result": 1}} for call in calls]
            client.send(tool_response={"functionResponses": answers})
        case _:
            client.microphone(tone(1.0) + hush(0.7), "hello")


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_talk(name: str) -> None:
    model, faults, turns = RECORDED[name]
    surface = {"surface": "vertex", "version": "v1beta1"} if name.startswith("vertex") else {}
    bench = Bench(load_profile("faithful").thinker, faults)
    bench.voice = ScriptedVoice()
    client = bench.open(model, inputAudioTranscription={}, **surface)
    client.wait(1.0)
    (first,) = client.news()
    assert list(first) == ["setupComplete"]
    assert bool(first["setupComplete"]) == name.startswith("vertex")
    calls: list[dict[str, Any]] = []
    for number, (how, expected) in enumerate(turns):
        play(client, how, calls)
        if CALL in expected:
            client.think(FunctionCall("get_weather", {"city": "Seoul"}))
        else:
            client.think(PIECES[0], end=False)
            client.wait(2.0)
            client.think(PIECES[1])
        client.wait(10.0)
        messages = client.news()
        calls = [call for message in messages for call in message.get("toolCall", {}).get("functionCalls", ())]
        assert collapsed([kind(message) for message in messages]) == collapsed(expected), number
        for call in calls:
            assert call["id"].startswith("function-call-") and len(call["id"]) == len("function-call-") + 19
        assert json.dumps(messages)


def test_what_the_listener_finds_is_told() -> None:
    client = Bench().open("gemini-3.8-live")
    client.microphone(tone(1.0), "hello there", end=False)
    stream = client.listens[-1].stream
    client.machine.heard(stream, Hypothesis("hello", is_final=False, start=0, end=0.5), client.bench.now)
    client._take()
    assert {"serverContent": {"interimInputTranscription": {"text": "hello"}}} in client.messages
