"""A socket that nobody reads, offers that are bent in every way, certificates, missing packages."""

import asyncio
import gc
import json
import os
import random
import ssl
from pathlib import Path

import httpx
import pytest
import websockets
from websockets.exceptions import InvalidMessage

from halfcascade.emulator.server import GoogleEmulator
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.extras import require
from tests.bot.serve.support import STORY, Program, certificate_files, serving
from tests.bot.support import recordings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")
SCENARIO = {
    "recordings": recordings_for("weather", "question"),
    "replies": [{"match": "moon", "text": STORY}, {"match": "weather", "text": "It will be sunny all day."}],
}


@pytest.fixture(scope="module")
async def google():
    async with GoogleEmulator(scenario=SCENARIO) as running:
        yield running


async def test_certificate_files_make_it_https(google, tmp_path):
    certificate, key = certificate_files(tmp_path)
    async with serving(google.env, tls_certificate=certificate, tls_key=key) as served:
        trusted = ssl.create_default_context(cafile=str(certificate))
        async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{served.port}", verify=trusted) as http:
            assert (await http.get("/healthz")).text == "ok"
            # A telephone company is led to the encrypted socket.
            assert "wss://127.0.0.1" in (await http.post("/calls/twilio")).text
        url = f"wss://127.0.0.1:{served.port}/ws-client"
        async with websockets.connect(url, ssl=trusted) as socket:
            await socket.ping()
        with pytest.raises((OSError, InvalidMessage)):
            await websockets.connect(url.replace("wss", "ws"), open_timeout=3)
        await asyncio.wait_for(served.house.rooms.wait_until_empty(), 30)


@pytest.mark.parametrize(("extra", "package"), [("serve", "aiortc"), ("scale", "ray")])
async def test_one_line_says_what_to_install(extra, package, monkeypatch):
    monkeypatch.setattr("halfcascade.processors.extras.is_there", lambda module: module != package)
    with pytest.raises(ConfigurationError) as missing:
        require("Serving", extra)
    assert str(missing.value).startswith(f"Serving needs {package}, not installed here: ") and "\n" not in str(
        missing.value
    )


@pytest.mark.slow
async def test_who_never_reads_is_cut_off_and_disturbs_nobody(google):
    async with serving(google.env, most_talks=2) as served:
        async with websockets.connect(f"{served.ws}/ws-client", max_queue=1, compression=None) as deaf:
            deaf.transport.pause_reading()
            client = Program()
            client._socket = deaf
            await client.greet()
            speaking = asyncio.create_task(client._speak())
            async with Program().calling(f"{served.ws}/ws-client") as good:
                for _ in range(3):
                    client.say("question")
                    good.say("weather")
                    await good.hears(30)
                    await good.hears_silence()
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
        await asyncio.wait_for(served.house.rooms.wait_until_empty(), 60)


OFFER = (
    "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n"
    "a=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\na=setup:actpass\r\n"
    "a=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"
)


def _bent(count: int):
    """Offers with lines torn, doubled, swapped, cut, or filled with noise; all without what makes one good."""
    dice = random.Random(3)
    for _ in range(count):
        lines = OFFER.split("\r\n")
        # Without it, none of them is answered, however it is bent.
        lines = [line for line in lines if not line.startswith("a=ice-pwd")]
        for _ in range(dice.randrange(1, 5)):
            at = dice.randrange(len(lines))
            kind = dice.randrange(5)
            if kind == 0:
                lines.pop(at)
            elif kind == 1:
                lines.insert(at, lines[at])
            elif kind == 2:
                lines[at] = lines[at][: dice.randrange(len(lines[at]) + 1)]
            elif kind == 3:
                lines[at] = lines[at].replace(" ", dice.choice(["", "  ", "\t", "\x00", " -1 ", " 99999999999 "]))
            else:
                lines[at] = "a=" + "".join(chr(dice.randrange(1, 0x3FF)) for _ in range(dice.randrange(60)))
            if not lines:
                break
        yield {"sdp": "\r\n".join(lines), "type": dice.choice(["offer", "offer", "answer", "", "rollback"])}


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def _offer(served, count: int) -> None:
    async with httpx.AsyncClient(base_url=served.http) as http:
        for offer in _bent(count):
            answer = await http.post("/api/offer", content=json.dumps(offer))
            assert 400 <= answer.status_code < 500, (answer.status_code, answer.text, offer)
            assert "Traceback" not in answer.text
    await asyncio.wait_for(served.house.rooms.wait_until_empty(), 60)


async def test_bent_offers_are_refused_and_take_no_room(google):
    async with serving(google.env, most_talks=2) as served:
        await _offer(served, 30)


@pytest.mark.slow
async def test_ten_thousand_bent_offers_leave_no_memory_behind(google):
    async with serving(google.env, most_talks=2) as served:
        await _offer(served, 1_000)
        gc.collect()
        before = _resident()
        await _offer(served, 10_000)
        gc.collect()
        assert _resident() - before < 50
        async with Program().calling(f"{served.ws}/ws-client") as good:
            good.say("weather")
            await good.hears(30)
