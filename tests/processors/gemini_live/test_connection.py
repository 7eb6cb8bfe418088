"""Cutting audio out of raw messages."""

import asyncio
import base64
import json
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from halfcascade.processors.gemini_live.connection import (
    SEND_SECS,
    ConnectionLost,
    LiveConnection,
    SilentSocket,
    without_audio,
)
from tests.in_virtual_time import in_virtual_time

AUDIO = base64.b64encode(bytes(9600)).decode()
PART = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": AUDIO}}


class Socket:
    def __init__(self, *messages: Any) -> None:
        self.messages = [json.dumps(message).encode() for message in messages]

    async def recv(self, *, decode: bool | None = None) -> bytes:
        return self.messages.pop(0)


@pytest.mark.parametrize("indent", [None, 2])
def test_audio_is_cut_out_and_nothing_else(indent: int | None) -> None:
    message = {"serverContent": {"modelTurn": {"parts": [PART, {"text": 'say "data": now'}, PART]}}}
    cut = json.loads(without_audio(json.dumps(message, indent=indent).encode()))
    assert cut["serverContent"]["modelTurn"]["parts"][0]["inlineData"]["data"] == ""
    assert cut["serverContent"]["modelTurn"]["parts"][2]["inlineData"]["data"] == ""
    assert cut["serverContent"]["modelTurn"]["parts"][1] == {"text": 'say "data": now'}


async def test_messages_with_nothing_but_audio_are_thinned_out_and_all_others_come_through() -> None:
    audio = {"serverContent": {"modelTurn": {"parts": [PART]}}}
    words = {"serverContent": {"modelTurn": {"parts": [PART]}, "outputTranscription": {"text": "Hi"}}}
    usage = {"serverContent": {"turnComplete": True}, "usageMetadata": {"totalTokenCount": 3}}
    big = {"toolCall": {"functionCalls": [{"id": "1", "name": "f", "args": {"data": "x" * 2000}}]}}
    socket = SilentSocket(Socket(audio, audio, audio, words, audio, usage, big))
    got = [json.loads(await socket.recv()) for _ in range(4)]
    assert "outputTranscription" not in got[0]["serverContent"]
    assert got[1]["serverContent"]["outputTranscription"] == {"text": "Hi"}
    assert got[2]["serverContent"]["turnComplete"]
    assert got[3] == big


async def test_the_first_sound_of_every_answer_comes_through() -> None:
    audio = {"serverContent": {"modelTurn": {"parts": [PART]}}}
    end = {"serverContent": {"generationComplete": True}}
    socket = SilentSocket(Socket(audio, audio, end, audio, audio, end))
    got = [json.loads(await socket.recv())["serverContent"] for _ in range(4)]
    assert ["modelTurn" in content for content in got] == [True, False, True, False]


@in_virtual_time
async def test_a_network_that_takes_nothing_is_a_lost_connection() -> None:
    async def never(**sent: Any) -> None:
        await asyncio.Event().wait()

    session = SimpleNamespace(_ws=None, send_client_content=never, send_realtime_input=never, send_tool_response=never)
    connection = LiveConnection(session, AsyncExitStack())
    for send in (
        lambda: connection.send_content([], complete=True),
        lambda: connection.send_text("Hello"),
        lambda: connection.send_results([]),
    ):
        async with asyncio.timeout(SEND_SECS + 1.0):
            with pytest.raises(ConnectionLost, match="nothing can be sent"):
                await send()
