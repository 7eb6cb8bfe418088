"""The server against people who mean no good, and as a process that ends."""

import asyncio
import gc
import json
import os
import random
import re
import signal
from pathlib import Path

import httpx
import pytest
import websockets
from pipecat.frames.frames import OutputAudioRawFrame
from websockets.exceptions import ConnectionClosed, InvalidStatus

from halfcascade.emulator.server import GoogleEmulator
from tests.bot.serve.support import Program, Telephone, address_of, serving, start_server
from tests.bot.support import recordings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")
SCENARIO = {"recordings": recordings_for("weather"), "replies": [{"text": "It will be sunny all day."}]}
TOKEN = "correct horse battery staple"
DOORS = ("/ws", "/ws-client")


@pytest.fixture(scope="module")
async def google():
    async with GoogleEmulator(scenario=SCENARIO) as running:
        yield running


@pytest.fixture(scope="module")
async def served(google):
    async with serving(google.env, most_talks=4) as running:
        yield running


@pytest.fixture
async def http(served):
    async with httpx.AsyncClient(base_url=served.http) as client:
        yield client


async def _empty(served) -> None:
    await asyncio.wait_for(served.house.rooms.wait_until_empty(), 30)


async def _until_taken(served) -> None:
    async with asyncio.timeout(30):
        while True:
            if served.house.rooms.taken:
                return
            await asyncio.sleep(0.01)


async def test_the_page_comes_with_headers_that_keep_others_out(http):
    page = await http.get("/")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert (await http.get(f"/{name}")).status_code == 200, name
    assert (await http.get("/page/../app.py")).status_code == 404
    assert (await http.get("/healthz")).text == "ok"
    assert (await http.get("/readyz")).json() == {"talks": 0, "most": 4, "draining": False}


async def test_pages_of_others_and_borrowed_names_are_refused(served, http):
    assert (await http.post("/start", headers={"origin": "https://evil.example"})).status_code == 403
    assert (await http.get("/", headers={"host": "evil.example"})).status_code == 403
    for path in DOORS:
        with pytest.raises(InvalidStatus) as refused:
            await websockets.connect(served.ws + path, origin="https://evil.example")
        assert refused.value.response.status_code == 403


async def test_a_token_opens_and_a_ticket_opens_once(google):
    async with serving(google.env, token=TOKEN) as served, httpx.AsyncClient(base_url=served.http) as http:
        for wrong in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
            for path in ("/start", "/api/offer", "/calls/twilio"):
                answer = await http.post(path, headers=wrong, json={"sdp": "", "type": "offer"})
                assert answer.status_code == 401, path
            assert (await http.get("/metrics", headers=wrong)).status_code == 401
        for path in DOORS:
            with pytest.raises(InvalidStatus) as refused:
                await websockets.connect(served.ws + path)
            assert refused.value.response.status_code == 401
        right = {"authorization": f"Bearer {TOKEN}"}
        ticket = (await http.post("/start", headers=right)).json()["sessionId"]
        async with websockets.connect(f"{served.ws}/ws-client/{ticket}"):
            pass
        with pytest.raises(InvalidStatus) as refused:
            await websockets.connect(f"{served.ws}/ws-client/{ticket}")
        assert refused.value.response.status_code == 403
        call = await http.post("/calls/twilio", headers=right)
        assert re.fullmatch(r'<\?xml.*<Stream url="ws://[^/]+/ws/[\w-]{20,}"/>.*', call.text, re.DOTALL)
        assert (await http.post("/calls/nobody", headers=right)).status_code == 404


async def test_who_does_not_fit_is_told_when_to_come_again(google):
    async with serving(google.env, most_talks=1) as served, httpx.AsyncClient(base_url=served.http) as http:
        async with Telephone().calling(served.ws + "/ws"):
            await _until_taken(served)
            full = await http.post("/start")
            assert full.status_code == 503 and int(full.headers["retry-after"]) > 0 and full.json()["error"]
            assert (await http.get("/readyz")).status_code == 503
            with pytest.raises(InvalidStatus) as refused:
                await websockets.connect(served.ws + "/ws")
            assert refused.value.response.status_code == 503
            assert refused.value.response.headers["retry-after"]
        await _empty(served)
        assert (await http.post("/start")).status_code == 200
        counted = (await http.get("/metrics")).text
        assert 'halfcascade_refused_total{why="full"} 2.0' in counted
        assert 'halfcascade_talks_ended_total{door="twilio",how="well"} 1.0' in counted


OFFERS = [
    b"",
    b"[]",
    b"null",
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    json.dumps({"sdp": 5, "type": "offer"}).encode(),
    json.dumps({"sdp": "v=0", "type": "offer"}).encode(),
    json.dumps({"sdp": "v=0\r\n" + "a=x\r\n" * 2_000, "type": "pranswer"}).encode(),
    json.dumps({"sdp": "", "type": "rollback", "pc_id": {}}).encode(),
    json.dumps({"sdp": "", "type": "offer", "pc_id": "guessed"}).encode(),
]


@pytest.mark.parametrize("offer", OFFERS, ids=range(len(OFFERS)))
async def test_offers_that_make_no_sense_take_no_room(served, http, offer):
    for path in ("/api/offer", "/sessions/guessed/api/offer"):
        for method in ("POST", "PATCH"):
            answer = await http.request(method, path, content=offer)
            assert 400 <= answer.status_code < 500, answer.text
    await _empty(served)


async def test_what_is_too_long_is_refused_or_cut_off(served, http):
    assert (await http.post("/start", content=b"x" * 300_000)).status_code == 413
    for path in DOORS:
        async with websockets.connect(served.ws + path) as socket:
            with pytest.raises(ConnectionClosed) as closed:
                await socket.send("x" * 100_000)
                await asyncio.wait_for(socket.recv(), 10)
            assert closed.value.rcvd and closed.value.rcvd.code == 1009
    await _empty(served)


async def test_a_flood_ends_its_own_talk_and_no_other(served):
    async with Program().calling(served.ws + "/ws-client") as good:
        async with websockets.connect(served.ws + "/ws-client") as socket:
            with pytest.raises(ConnectionClosed) as closed:
                for _ in range(20_000):
                    await socket.send(b"flood")
                async with asyncio.timeout(30):
                    # A server that has not read it all may have said other things meanwhile.
                    while True:
                        await socket.recv()
            assert closed.value.rcvd and closed.value.rcvd.code == 1008
        good.say("weather")
        await good.hears()
    await _empty(served)


def _garbage(count: int):
    """Messages that no client should send: noise, torn and bent ones of both protocols."""
    dice = random.Random(1)
    words = ["event", "start", "media", "payload", "streamSid", "type", "data", "label", "rtvi-ai", "client-ready"]
    values = [None, True, -1, 1e308, "", "x", "MZ1", [], {}, "connected", "start", "media", "stop", "dtmf", "send-text"]

    def bent(depth: int = 0):
        if depth > 3 or dice.random() < 0.4:
            return dice.choice(values)
        return {dice.choice(words): bent(depth + 1) for _ in range(dice.randrange(4))}

    frame = bytes.fromhex("12") + bytes([20]) + b"\x08\x01\x12\x02ab\x1a\x08\x00\x01\x02\x03\x04\x05\x06\x07" * 2
    for _ in range(count):
        kind = dice.randrange(4)
        if kind == 0:
            yield dice.randbytes(dice.randrange(200))
        elif kind == 1:
            yield json.dumps(bent())
        elif kind == 2:
            torn = bytearray(frame)
            torn[dice.randrange(len(torn))] = dice.randrange(256)
            yield bytes(torn[: dice.randrange(len(torn))])
        else:
            yield json.dumps({"event": "media", "streamSid": "MZ1", "media": {"payload": bent()}})


async def _pour(served, path: str, count: int) -> None:
    """Send garbage as fast as is allowed, over as many sockets as it takes, each greeted as the protocol wants."""
    sent = 0
    messages = _garbage(count)
    while sent < count:
        client = Telephone() if path == "/ws" and sent % 2 else Program()
        try:
            async with websockets.connect(served.ws + path) as socket:
                client._socket = socket
                await client.greet()
                for _ in range(400):
                    await socket.send(next(messages))
                    sent += 1
                await asyncio.sleep(0.05)
        except StopIteration:
            return
        except (ConnectionClosed, InvalidStatus):
            sent += 1
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("path", DOORS)
async def test_garbage_harms_nobody(served, path, caplog):
    await _pour(served, path, 200)
    await _empty(served)
    async with Program().calling(served.ws + "/ws-client") as good:
        good.say("weather")
        await good.hears()
    await _empty(served)


@pytest.mark.slow
@pytest.mark.parametrize("path", DOORS)
async def test_ten_thousand_malformed_messages_leave_no_memory_behind(served, path):
    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    await _pour(served, path, 1_000)
    await _empty(served)
    served.hubs.clear()
    gc.collect()
    before = resident()
    await _pour(served, path, 10_000)
    await _empty(served)
    served.hubs.clear()
    gc.collect()
    assert resident() - before < 150
    async with Program().calling(served.ws + "/ws-client") as good:
        good.say("weather")
        await good.hears()


async def test_audio_of_insane_form_is_dropped(served):
    async with Program().calling(served.ws + "/ws-client") as client:
        for rate, channels, audio in ((0, 1, b"abcd"), (10**9, 1, b"abcd"), (16_000, 0, b"abcd"), (16_000, 7, b"abcd"),
                                      (16_000, 1, b"abc"), (16_000, 2, b"abc"), (16_000, 1, b"")):  # fmt: skip
            frame = OutputAudioRawFrame(b"", 16_000, 1)
            frame.audio, frame.sample_rate, frame.num_channels = audio, rate, channels
            await client._socket.send(await client._serializer.serialize(frame))
        client.say("weather")
        await client.hears()
    await _empty(served)


@pytest.mark.slow
async def test_on_sigterm_talks_end_and_then_the_server(google, tmp_path):
    process = await start_server(tmp_path, "--port", "0", **google.env)
    url = await address_of(process)
    async with Telephone().calling(url.replace("http", "ws") + "/ws") as client, httpx.AsyncClient() as http:
        client.say("weather")
        await asyncio.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        await client.hears()
        assert (await http.get(url + "/readyz")).json()["draining"]
        assert process.returncode is None
    rest, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in rest.decode()


async def test_a_port_in_use_is_told_in_one_line(served, google, tmp_path):
    process = await start_server(tmp_path, "--port", str(served.port), **google.env)
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    errors = [line for line in output.decode().splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "--port" in errors[0] and "Traceback" not in output.decode()


@pytest.mark.slow
async def test_a_voice_that_does_not_exist_is_told_before_anybody_visits(google, tmp_path):
    process = await start_server(tmp_path, "--port", "0", "--voice", "Koree", **google.env)
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert [line for line in output.decode().splitlines() if line.startswith("error: ") and "Kore" in line]
