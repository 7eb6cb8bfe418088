"""Any value in any field: the machine goes on, or closes with a reason, and never breaks."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger

from halfcascade.emulator.live import schema
from halfcascade.emulator.minds.base import Mind
from halfcascade.emulator.minds.scripted import Scenario, create_scripted_mind
from halfcascade.emulator.profiles import Profile
from halfcascade.emulator.web.versions import find_version
from tests.emulator.live.conftest import Serve
from tests.emulator.live.harness import Bench
from tests.emulator.live.test_server import closing, raw

VERSION = find_version("gemini", "v1alpha")
assert VERSION is not None
ROOT = schema._message_of(VERSION)
NUMBERS = [
    float("nan"),
    float("inf"),
    -float("inf"),
    -0.0,
    0.5,
    1e308,
    -1,
    0,
    3,
    2**31,
    2**63,
    2**64,
    -(2**70),
    10**400,
]
TEXTS = [
    "",
    "\ud800",
    "x\udfff y",
    "\udc00\ud800",
    "\x00",
    "NaN",
    "Infinity",
    "-1",
    "1e400",
    "9" * 30,
    "true",
    "한" * 50,
]
OTHERS: list[Any] = [None, True, False, [], {}, [[]], [None], {"": {}}, {"\ud800": 1}, [{}], [[[[[[]]]]]]]
odd = st.sampled_from([*NUMBERS, *TEXTS, *OTHERS]) | st.text(max_size=5) | st.integers() | st.floats()
good = {"TYPE_STRING": "a", "TYPE_BYTES": "AAAA", "TYPE_BOOL": True, "TYPE_ENUM": "AUDIO"}


@st.composite
def messages(draw: st.DrawFn, kind: Any = ROOT, depth: int = 0) -> Any:
    """A message with an odd value somewhere, on the way to which everything is as it should be."""
    if depth and (depth > 6 or draw(st.integers(0, 5)) == 0):
        return draw(odd)
    match kind:
        case schema._Message(fields=fields) if fields:
            name = draw(st.sampled_from(sorted(fields)))
            value = {name: draw(messages(fields[name], depth + 1))}
            for beside in draw(st.lists(st.sampled_from(sorted(fields)), max_size=2)) if depth else ():
                value.setdefault(beside, _plain(fields[beside]))
            return value
        case schema._List(item=item):
            return [draw(messages(item, depth + 1))]
        case schema._Map(value=item):
            return {draw(st.sampled_from(["a", "", "\ud800"])): draw(messages(item, depth + 1))}
    return draw(odd)


def _plain(kind: Any) -> Any:
    match kind:
        case schema._Leaf(name=name):
            return good[name]
        case schema._Number():
            return 1
        case schema._List():
            return []
    return {}


@settings(max_examples=150, deadline=None)
@given(st.lists(messages(), min_size=1, max_size=3), st.booleans())
def test_any_value_in_any_field(frames: list[Any], open_first: bool) -> None:
    client = Bench().open() if open_first else Bench().connect()
    for frame in frames:
        client.raw(json.dumps(frame))
        client.wait(1.0)
    client.wait(10.0)
    for message in client.messages:
        json.dumps(message, ensure_ascii=False, allow_nan=False).encode(errors="replace")
    if client.close is not None:
        assert client.close.code in (1007, 1008)
        assert 0 < len(client.close.reason.encode()) <= 123


FRAME = json.dumps(
    {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "가 \ud83d\ude00 b"}]}], "turnComplete": True}}
)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_frame_cut_anywhere_closes_with_1007(as_bytes: bool) -> None:
    whole: str | bytes = json.dumps(json.loads(FRAME), ensure_ascii=False).encode() if as_bytes else FRAME
    for cut in range(len(whole)):
        client = Bench().open()
        client.raw(whole[:cut])
        assert client.close is not None, cut
        assert client.close.code == 1007


class Broken:
    """Breaks whatever it is asked to do."""

    def think(self, *_: Any) -> Any:
        raise RuntimeError("the engine is gone")

    recognize = synthesize = think


@pytest.mark.parametrize("part", ["listener", "thinker", "speaker"])
async def test_whatever_dies_ends_its_session_like_googles(serve: Serve, part: str) -> None:
    scripted = create_scripted_mind(Scenario(), Profile())
    minds: dict[str, Any] = {
        "listener": scripted.listener,
        "thinker": scripted.thinker,
        "speaker": scripted.speaker,
        part: Broken(),
    }
    server = await serve(mind=Mind(**minds))
    told: list[str] = []
    sink = logger.add(lambda line: told.append(str(line)), level="ERROR")
    try:
        async with raw(server) as connection:
            await connection.send(json.dumps({"setup": {"model": "models/gemini-3.8-live"}}))
            await connection.recv()
            sound = {"data": "AAAA" * 8000, "mimeType": "audio/pcm;rate=16000"}
            parts: list[dict[str, Any]] = [{"inlineData": sound}] if part == "listener" else [{"text": "hello"}]
            turn = {"turns": [{"role": "user", "parts": parts}], "turnComplete": True}
            await connection.send(json.dumps({"clientContent": turn}))
            assert await closing(connection) == (1011, "Internal error encountered.")
    finally:
        logger.remove(sink)
    assert "the engine is gone" in "".join(told)


async def test_a_lone_surrogate_is_refused_at_once(serve: Serve) -> None:
    server = await serve()
    async with raw(server) as connection:
        await connection.send(json.dumps({"setup": {"model": "models/gemini-3.8-live"}}))
        await connection.recv()
        turn = {"turns": [{"role": "user", "parts": [{"text": "a \ud800 b"}]}], "turnComplete": True}
        await connection.send(json.dumps({"clientContent": turn}))
        assert await closing(connection) == (1007, "Invalid JSON payload received.")


@pytest.mark.slow
async def test_two_hundred_sessions_at_once(serve: Serve) -> None:
    server = await serve()
    opened = 0
    everybody = asyncio.Event()

    async def talk(number: int) -> bool:
        nonlocal opened
        async with raw(server) as connection:
            await connection.send(json.dumps({"setup": {"model": "models/gemini-3.8-live"}}))
            await connection.recv()
            opened += 1
            if opened == 200:
                everybody.set()
            await everybody.wait()
            turn = {"turns": [{"role": "user", "parts": [{"text": f"I am {number}"}]}], "turnComplete": True}
            await connection.send(json.dumps({"clientContent": turn}))
            while b"turnComplete" not in await connection.recv(decode=False):
                pass
            return True

    async with asyncio.timeout(120):
        assert await asyncio.gather(*map(talk, range(200))) == [True] * 200
