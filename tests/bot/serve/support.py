"""A server in this process, and clients that talk with it over real sockets."""

import asyncio
import base64
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import soundfile
import soxr
import websockets
from pipecat.audio.utils import create_stream_resampler, pcm_to_ulaw, ulaw_to_pcm
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
)
from pipecat.serializers.protobuf import ProtobufFrameSerializer

from halfcascade.bot.serve.access import Gatekeeper
from halfcascade.bot.serve.app import App
from halfcascade.bot.serve.house import House
from halfcascade.bot.serve.limits import Strain
from halfcascade.bot.serve.server import bind, server_of
from halfcascade.bot.serve.settings import ServeSettings
from halfcascade.bot.serve.visit import Visit
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.settings import Settings
from tests.bot.support import DATA, environment, long_story, recording

STORY = long_story()


@dataclass
class Served:
    """A running server."""

    house: House
    keeper: Gatekeeper
    port: int
    hubs: list[EventHub]

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


class _RememberingHouse(House):
    """A house whose talks can be looked into."""

    hubs: list[EventHub]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.hubs = []

    async def open_hub(self, name: str, settings: Settings) -> EventHub:
        self.hubs.append(await super().open_hub(name, settings))
        return self.hubs[-1]


class _Unstrained(Strain):
    """Lets in whom there is room for, although the machine of the tests may be slow; the rule has tests of its own."""

    @property
    def overloaded(self) -> bool:
        return False


@asynccontextmanager
async def serving(
    environ: dict[str, str], settings: Settings | None = None, visit: type[Visit] = Visit, **options
) -> AsyncIterator[Served]:
    """Serve on a free port of loopback."""
    serve = ServeSettings(port=0, **options)
    house = _RememberingHouse(settings or Settings(_env_file=None), serve, {**os.environ, **environ})
    house.rooms.strain = _Unstrained()
    keeper = Gatekeeper(serve.secret, serve.origins, serve.hosts)
    app = App(house, keeper, visit)
    socket = bind(serve)
    server = server_of(app, serve)
    running = asyncio.create_task(server.serve(sockets=[socket]))
    await server.serving.wait()
    try:
        yield Served(house, keeper, serve.port, house.hubs)
    finally:
        await app.close()
        server.should_exit = True
        await running


async def start_server(home: Path, *arguments: str, **variables: str) -> asyncio.subprocess.Process:
    """Serve in a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "serve", "--backend", "google", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=home,
        env=environment(home, PYTHONUNBUFFERED="1", **variables),
    )  # fmt: skip


async def address_of(process: asyncio.subprocess.Process) -> str:
    """Wait until a server is there, and tell where."""
    output = ""
    while "Talk at" not in output:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line, output
        output += line.decode()
    return re.search(r"https?://127\.0\.0\.1:\d+", output)[0]


def certificate_files(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine's loopback, signed by itself."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    until = now + datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, until)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


def samples(name: str, rate: int) -> np.ndarray:
    """A recording of a user at some rate, as int16."""
    sound, given = soundfile.read(DATA / recording(name)["file"], dtype="float32")
    return (soxr.resample(sound, given, rate) * 32767).astype("<i2")


class Client:
    """Somebody at the other end of a socket, whose microphone never stops and who hears in real time.

    Args:
        rate: Samples per second of both directions.
    """

    def __init__(self, rate: int):
        self.rate = rate
        self.heard: list[tuple[float, np.ndarray]] = []
        self.cleared: list[float] = []
        self.messages: list[dict] = []
        # Told what is heard and what is thrown away, each with its time.
        self.listening: Callable[[np.ndarray, float], None] | None = None
        self.clearing: Callable[[float], None] | None = None
        self._saying: list[tuple[np.ndarray, asyncio.Future[float]]] = []
        self._socket: Any = None

    async def send(self, pcm: bytes) -> None:
        raise NotImplementedError

    async def take(self, message: str | bytes) -> None:
        raise NotImplementedError

    async def greet(self) -> None:
        """What the protocol wants first."""

    @asynccontextmanager
    async def calling(self, url: str, **options) -> AsyncIterator[Self]:
        async with websockets.connect(url, **options) as self._socket:
            await self.greet()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._speak()), group.create_task(self._listen())]
                yield self
                for task in tasks:
                    task.cancel()

    def say(self, name: str) -> None:
        self._say(samples(name, self.rate))

    async def say_samples(self, sound: np.ndarray) -> float:
        """Say a sound to its end.

        Returns:
            ``time.monotonic()`` at which its first sample was before the microphone.
        """
        begun = await self._say(sound)
        await asyncio.sleep(max(0.0, begun + len(sound) / self.rate - time.monotonic()))
        return begun

    def _say(self, sound: np.ndarray) -> asyncio.Future[float]:
        self._saying.append((sound, asyncio.get_running_loop().create_future()))
        return self._saying[-1][1]

    async def hears(self, secs: float = 30.0) -> None:
        """Wait for sound."""
        since = time.monotonic()
        while not any(at > since and np.abs(block.astype(int)).max() > 500 for at, block in self.heard):
            assert time.monotonic() - since < secs, "nothing was heard"
            await asyncio.sleep(0.02)

    async def hears_silence(self, secs: float = 0.8, within: float = 30.0) -> None:
        """Wait until nothing was heard for a while."""
        since = time.monotonic()
        while True:
            loud = [at for at, block in self.heard if np.abs(block.astype(int)).max() > 500]
            if loud and time.monotonic() - loud[-1] > secs:
                return
            assert time.monotonic() - since < within, "it talks on"
            await asyncio.sleep(0.02)

    async def _speak(self) -> None:
        period, size = 0.02, self.rate // 50
        at = time.monotonic()
        while True:
            block = np.zeros(size, "<i2")
            if self._saying:
                sound, begun = self._saying[0]
                if not begun.done():
                    # A microphone has heard a block before it can be sent.
                    begun.set_result(time.monotonic() - period)
                block[: min(size, len(sound))] = sound[:size]
                self._saying[0] = (sound[size:], begun)
                if len(sound) <= size:
                    self._saying.pop(0)
            await self.send(block.tobytes())
            at += period
            await asyncio.sleep(max(0, at - time.monotonic()))

    async def _listen(self) -> None:
        async for message in self._socket:
            await self.take(message)

    def _hear(self, pcm: bytes) -> None:
        block, now = np.frombuffer(pcm, "<i2"), time.monotonic()
        if len(block):
            self.heard.append((now, block))
            if self.listening:
                self.listening(block, now)

    def _clear(self) -> None:
        self.cleared.append(time.monotonic())
        if self.clearing:
            self.clearing(self.cleared[-1])


class Telephone(Client):
    """Twilio's media streams: mu-law at 8 kHz in JSON."""

    def __init__(self):
        super().__init__(8_000)
        self._to, self._from = create_stream_resampler(), create_stream_resampler()
        self._count = 0

    async def greet(self) -> None:
        await self._socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        start = {
            "accountSid": "AC1",
            "streamSid": "MZ1",
            "callSid": "CA1",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {},
        }
        await self._socket.send(
            json.dumps({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": "MZ1"})
        )

    async def send(self, pcm: bytes) -> None:
        self._count += 1
        await self._media(base64.b64encode(await pcm_to_ulaw(pcm, 8_000, 8_000, self._to)).decode())

    async def _media(self, payload: str) -> None:
        media = {"track": "inbound", "chunk": str(self._count), "timestamp": str(20 * self._count), "payload": payload}
        await self._socket.send(
            json.dumps({"event": "media", "sequenceNumber": str(self._count + 1), "media": media, "streamSid": "MZ1"})
        )

    async def take(self, message: str | bytes) -> None:
        sent = json.loads(message)
        assert sent["streamSid"] == "MZ1"
        await self._taken(sent["event"], sent.get("media", {}).get("payload", ""))

    async def _taken(self, event: str, payload: str) -> None:
        if event == "clear":
            self._clear()
        elif event == "media":
            self._hear(await ulaw_to_pcm(base64.b64decode(payload), 8_000, 8_000, self._from))


class Telnyx(Telephone):
    """Telnyx's media streams."""

    async def greet(self) -> None:
        await self._socket.send(json.dumps({"event": "connected", "version": "1.0.0"}))
        form = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
        start = {"call_control_id": "v3:1", "from": "+1555", "to": "+1556", "media_format": form}
        await self._socket.send(
            json.dumps({"event": "start", "sequence_number": "1", "start": start, "stream_id": "MZ1"})
        )

    async def _media(self, payload: str) -> None:
        media = {"track": "inbound", "chunk": str(self._count), "timestamp": str(20 * self._count), "payload": payload}
        await self._socket.send(json.dumps({"event": "media", "media": media, "stream_id": "MZ1"}))

    async def take(self, message: str | bytes) -> None:
        sent = json.loads(message)
        await self._taken(sent["event"], sent.get("media", {}).get("payload", ""))


class Plivo(Telephone):
    """Plivo's media streams."""

    async def greet(self) -> None:
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000}
        start = {"callId": "C1", "streamId": "MZ1", "accountId": "A1", "tracks": ["inbound"], "mediaFormat": form}
        await self._socket.send(json.dumps({"sequenceNumber": 0, "event": "start", "start": start}))

    async def _media(self, payload: str) -> None:
        media = {"track": "inbound", "timestamp": str(20 * self._count), "chunk": self._count, "payload": payload}
        await self._socket.send(json.dumps({"event": "media", "media": media, "streamId": "MZ1"}))

    async def take(self, message: str | bytes) -> None:
        sent = json.loads(message)
        assert sent["streamId"] == "MZ1"
        if sent["event"] == "playAudio":
            assert sent["media"]["contentType"] == "audio/x-mulaw" and sent["media"]["sampleRate"] == 8000
        names = {"playAudio": "media", "clearAudio": "clear"}
        await self._taken(names[sent["event"]], sent.get("media", {}).get("payload", ""))


class Program(Client):
    """A program that speaks Pipecat's protobuf frames."""

    def __init__(self, rate: int = 16_000, channels: int = 1):
        super().__init__(rate)
        self._channels = channels
        self._resampler = create_stream_resampler()
        self._serializer = _ClientSerializer()

    async def greet(self) -> None:
        about = {"library": "test", "library_version": "1"}
        await self.tell({"type": "client-ready", "id": "1", "data": {"version": "1.0.0", "about": about}})
        await self.tell({"type": "client-message", "id": "2", "data": {"t": "captions"}})

    async def tell(self, message: dict) -> None:
        frame = OutputTransportMessageFrame({"label": "rtvi-ai", **message})
        await self._socket.send(await self._serializer.serialize(frame))

    async def send(self, pcm: bytes) -> None:
        if self._channels == 2:
            pcm = np.repeat(np.frombuffer(pcm, "<i2"), 2).tobytes()
        frame = OutputAudioRawFrame(pcm, self.rate, self._channels)
        await self._socket.send(await self._serializer.serialize(frame))

    async def take(self, message: str | bytes) -> None:
        frame = await self._serializer.deserialize(message)
        if isinstance(frame, InputAudioRawFrame):
            self._hear(await self._resampler.resample(frame.audio, frame.sample_rate, self.rate))
        elif isinstance(frame, InterruptionFrame):
            self._clear()
        else:
            self.messages.append(frame.message)


class _ClientSerializer(ProtobufFrameSerializer):
    """The same frames as a client sees them."""
