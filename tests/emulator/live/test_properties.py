"""Whatever a client sends, whenever: the machine never breaks and keeps its promises."""

import json
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.emulator.live.errors import Refusal
from halfcascade.emulator.live.faults import Drop, DropPhase, Framing, GoAway, LiveFaults, TurnFault
from halfcascade.emulator.live.schema import camel, snake
from halfcascade.emulator.minds.base import FunctionCall, FunctionResult
from halfcascade.emulator.profiles import ThinkerProfile
from tests.emulator.live.harness import Bench, Client

PROFILES = [
    ThinkerProfile(),
    ThinkerProfile(setup=0.1, audio_speed=4.0, playback_paced=True, interrupt=0.07, interrupt_end=0.4),
    ThinkerProfile(audio_lag=0.3, transcript_lag=0.2, audio_speed=1.0, playback_paced=True, interrupt_end=0.1),
]
MODELS = {
    "gemini-3.8-live": {},
    "gemini-3.8-live-extended-thinking": {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}},
    "gemini-3.1-flash-live-preview": {},
    "gemini-2.5-flash-native-audio-latest": {},
}
FIELDS = [
    "setup", "model", "clientContent", "turns", "turnComplete", "realtimeInput", "text", "audio", "data",
    "toolResponse", "functionResponses", "id", "role", "parts", "generationConfig", "sessionResumption",
    "handle", "tools", "x",
]  # fmt: skip

words = st.text(alphabet="ab 한", min_size=1, max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "user", "models/gemini-3.8-live", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS + [snake(name) for name in FIELDS]), inner, max_size=3)
    ),
    max_leaves=12,
)
steps = st.one_of(
    st.tuples(st.just("say"), words, st.booleans()),
    st.tuples(st.just("empty"), st.booleans()),
    st.tuples(st.just("realtime"), st.sampled_from([" ", "hello"])),
    st.tuples(st.just("respond"), st.integers(0, 3)),
    st.tuples(st.just("piece"), words),
    st.tuples(st.just("end")),
    st.tuples(st.just("call")),
    st.tuples(st.just("wait"), st.sampled_from([0.05, 0.2, 1.0, 10.0])),
)
turn_faults = st.builds(
    TurnFault,
    turn=st.none() | st.integers(1, 4),
    silent=st.booleans(),
    transcript_lag=st.sampled_from([None, -0.5, 0.5]),
    after_turn_complete=st.booleans(),
    no_transcript=st.booleans(),
    no_audio=st.booleans(),
    phantom=st.sampled_from(["", "ghost"]),
    refusal=st.sampled_from([None, None, Refusal(1007, "Request contains an invalid argument.")]),
)
faults = st.builds(
    LiveFaults,
    go_aways=st.lists(
        st.builds(
            GoAway,
            at=st.sampled_from([None, 0.0, 0.3]),
            turn=st.none() | st.integers(1, 4),
            time_left=st.sampled_from([0.0, 0.3, 50.0]),
            mute=st.booleans(),
        ),
        max_size=2,
    ),
    drops=st.lists(
        st.builds(
            Drop,
            turn=st.integers(1, 4),
            phase=st.sampled_from(get_args(DropPhase)),
            deltas=st.integers(1, 3),
            code=st.sampled_from([None, 1011]),
        ),
        max_size=2,
    ),
    turns=st.lists(turn_faults, max_size=3),
    framing=st.sampled_from(get_args(Framing)),
    seed=st.integers(0, 9),
    interrupted_after_turn_complete=st.booleans(),
)


class Driver:
    """Carries steps out and knows which generations are still thinking."""

    def __init__(
        self, profile: ThinkerProfile, model: str, *, seeded: bool = False, faults: LiveFaults | None = None
    ) -> None:
        setup: dict[str, Any] = {"sessionResumption": {}, "tools": [{"functionDeclarations": [{"name": "f"}]}]}
        if seeded:
            setup["historyConfig"] = {"initialHistoryInClientContent": True}
        self.bench = Bench(profile, faults)
        self._setup: dict[str, Any] = {"model": model, **setup, **MODELS[model]}
        self.client = self.bench.open(**self._setup)
        self._ended = 0

    def thinking(self) -> bool:
        return len(self.client.thinks) > self._ended

    def end(self) -> None:
        self._ended = len(self.client.thinks)
        self.client.think()

    def step(self, kind: str, *values: Any) -> None:
        client = self.client
        match kind:
            case "say":
                client.say(values[0], complete=values[1])
            case "empty":
                client.send(clientContent={"turns": [], "turnComplete": values[0]})
            case "realtime":
                client.send(realtimeInput={"text": values[0]})
            case "respond":
                ids = [c["id"] for m in client.messages if "toolCall" in m for c in m["toolCall"]["functionCalls"]]
                identity = ids[values[0]] if values[0] < len(ids) else "unknown"
                client.send(toolResponse={"functionResponses": [{"id": identity, "name": "f", "response": {}}]})
            case "wait":
                client.wait(values[0])
            case "piece" if self.thinking():
                client.think(values[0], end=False)
            case "call" if self.thinking():
                client.think(FunctionCall("f", {}), end=False)
            case "end" if self.thinking():
                self.end()

    def resume(self) -> None:
        """Go on with the newest handle on another connection; what it stands for must be back."""
        self.client.hang_up()
        handle = list(self.client.known)[-1]
        expected = self.client.known[handle]
        self.client = self.bench.open(**{**self._setup, "sessionResumption": {"handle": handle}})
        self._ended = 0
        self.client.known = {handle: expected, **self.client.known}
        assert self.client.close is None or self.client.close.code == 1011
        if self.client.machine.session is not None:
            assert self.client.history() == expected

    def settle(self) -> None:
        """Let every generation end and answer every call."""
        for _ in range(100):
            self.client.wait(20)
            pending = sorted(self.pending())
            if self.thinking():
                self.end()
            elif pending:
                self.client.send(toolResponse={"functionResponses": [{"id": i, "response": {}} for i in pending]})
            else:
                return
        raise AssertionError("the conversation never comes to rest")

    def pending(self) -> set[str]:
        messages = self.client.messages
        called = {c["id"] for m in messages if "toolCall" in m for c in m["toolCall"]["functionCalls"]}
        cancelled = {i for m in messages if "toolCallCancellation" in m for i in m["toolCallCancellation"]["ids"]}
        session = self.client.machine.session
        assert session is not None
        answered = {part.id for m in session.messages for part in m.parts if isinstance(part, FunctionResult)}
        return called - cancelled - answered


def check_order(client: Client) -> None:
    """Every turn is content, then generationComplete, then turnComplete; or content, interrupted, turnComplete."""
    ended = ""
    for event in client.events():
        match event:
            case "outputTranscription" | "toolCall":
                assert ended == "", f"{event} after {ended}"
            case "generationComplete" | "interrupted":
                assert ended != "interrupted"
                assert (event, ended) != ("generationComplete", "generationComplete")
                ended = event
            case "turnComplete":
                assert ended, "turnComplete without generationComplete or interrupted"
                ended = ""
            case "resumable":
                assert ended == ""
    assert ended == ""


@settings(max_examples=250, deadline=None)
@given(
    st.lists(steps, max_size=25),
    st.sampled_from(PROFILES),
    st.sampled_from(sorted(MODELS)),
    st.booleans(),
    st.sampled_from(get_args(Framing)),
)
def test_any_conversation_comes_to_rest_and_is_remembered_as_sent(
    conversation: list[tuple[Any, ...]], profile: ThinkerProfile, model: str, seeded: bool, framing: Framing
) -> None:
    driver = Driver(profile, model, seeded=seeded, faults=LiveFaults(framing=framing))
    for step in conversation:
        driver.step(*step)
    driver.settle()
    client = driver.client
    assert client.close is None
    check_order(client)
    assert client.events()[-1] == "resumable"
    assert "".join(text for role, text in client.history() if role == "model") == client.transcript()
    said = [step[1] for step in conversation if step[0] == "say" and step[1].strip()]
    assert sorted(said) == sorted(text for role, text in client.history() if role == "user" and text in said)


@settings(max_examples=250, deadline=None)
@given(
    st.lists(steps | st.tuples(st.just("resume")), max_size=25),
    st.sampled_from(PROFILES),
    st.sampled_from(sorted(MODELS)),
    faults,
)
def test_any_faults_leave_a_session_that_can_be_resumed(
    conversation: list[tuple[Any, ...]], profile: ThinkerProfile, model: str, faults: LiveFaults
) -> None:
    driver = Driver(profile, model, faults=faults)
    driver.client.wait(0.2)
    for step in conversation:
        if not driver.client.known:
            # A connection that closed before its first handle: there is nothing to resume.
            return
        if step[0] == "resume" or driver.client.close is not None:
            driver.resume()
        if step[0] != "resume" and driver.client.close is None:
            driver.step(*step)
    client = driver.client
    client.wait(30)
    assert client.machine.closed or client.machine.next_at is None or client.machine.next_at > client.bench.now


@settings(max_examples=250, deadline=None)
@given(st.lists(json_values, max_size=6), st.booleans())
def test_any_json_is_served_or_closes_with_a_reason(frames: list[Any], open_first: bool) -> None:
    client = Bench().open() if open_first else Bench().connect()
    for frame in frames:
        client.raw(json.dumps(frame))
    client.wait(10)
    if client.close is not None:
        assert client.close.code in (1007, 1008)
        assert 0 < len(client.close.reason.encode()) <= 123


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_any_bytes_close_with_1007(data: bytes | str) -> None:
    client = Bench().connect()
    client.raw(data)
    assert client.close is not None
    assert client.close.code == 1007


@given(st.sampled_from([*FIELDS, "lastConsumedClientMessageIndex", "parametersJsonSchema", "x1"]))
def test_names_survive_both_spellings(name: str) -> None:
    assert camel(snake(name)) == name
    assert camel(name) == name
