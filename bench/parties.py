"""Clients of every door with one face: each says sounds, and tells what reached its ear and when.

All times are ``time.monotonic()`` seconds, whatever clock a client has itself.
"""

import asyncio
import base64
import io
import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr
from pipecat.audio.utils import create_stream_resampler
from pipecat.evals.serializer import EvalConnectionFlags, eval_connect_message

from bench.dialogue import RATE, User, Utterance
from tests.bot.serve.support import Client, Program, Telephone

if TYPE_CHECKING:
    from playwright.async_api import Page

LOUD = 300
"""Absolute sample value above which something is heard."""


@dataclass(frozen=True)
class Sound:
    """What reached an ear.

    Parameters:
        samples: int16, silence where nothing came.
        rate: Samples per second.
        origin: When the first sample was heard.
    """

    samples: np.ndarray
    rate: int
    origin: float

    def between(self, start: float, end: float) -> np.ndarray:
        """The samples of a span of time."""
        first, last = (max(0, round((at - self.origin) * self.rate)) for at in (start, end))
        return self.samples[first:last]


@dataclass
class Playing:
    """The play-out of a client without a jitter buffer: each block at once, or behind the one before it.

    Parameters:
        rate: Samples per second.
        blocks: When each block is heard, and its samples.
        free: When the loudspeaker has nothing left to play.
    """

    rate: int
    blocks: list[tuple[float, np.ndarray]] = field(default_factory=list)
    free: float = 0.0

    def take(self, samples: np.ndarray, now: float) -> None:
        """Take a block that has arrived."""
        at = max(now, self.free)
        self.blocks.append((at, samples))
        self.free = at + len(samples) / self.rate

    def clear(self, now: float) -> None:
        """Throw away what is not heard yet."""
        kept = [(at, samples[: max(0, round((now - at) * self.rate))]) for at, samples in self.blocks]
        self.blocks = [block for block in kept if len(block[1])]
        self.free = min(self.free, now)

    def sound(self) -> Sound:
        """All that was heard."""
        origin = self.blocks[0][0] if self.blocks else 0.0
        samples = np.zeros(round((self.free - origin) * self.rate) + 1, np.int16)
        for at, block in self.blocks:
            first = round((at - origin) * self.rate)
            samples[first : first + len(block)] = block[: len(samples) - first]
        return Sound(samples, self.rate, origin)

    def starts(self, gap: float) -> list[float]:
        """Moments at which sound began after a silence of that many seconds."""
        loud = [at for at, block in self.blocks if np.abs(block.astype(np.int32)).max() > LOUD]
        return [at for before, at in zip([-1e9, *loud], loud, strict=False) if at - before > gap]

    def last(self) -> float:
        """When something was heard last, or 0."""
        return next((at for at, block in reversed(self.blocks) if np.abs(block.astype(np.int32)).max() > LOUD), 0.0)


class Party(ABC):
    """One client in a talk."""

    @abstractmethod
    async def say(self, utterance: Utterance) -> tuple[float, float]:
        """Say something; returns when it began and when its speech ended, once it is said."""

    @abstractmethod
    async def starts(self, gap: float) -> list[float]:
        """Moments at which sound began after a silence of that many seconds, so far."""

    @abstractmethod
    async def last(self) -> float:
        """When something was heard last, or 0."""

    @abstractmethod
    async def sound(self) -> Sound:
        """All that was heard."""

    async def held_back(self) -> float:
        """For how long the client held sound back on average, since this was asked last, in seconds."""
        return 0.0


class SocketParty(Party):
    """A client on a socket.

    Args:
        client: Speaks the protocol.
    """

    def __init__(self, client: Client):
        self._client = client
        self._playing = Playing(client.rate)
        client.listening = self._hear
        client.clearing = self._playing.clear

    def _hear(self, samples: np.ndarray, now: float) -> None:
        self._playing.take(samples, now)

    async def say(self, utterance: Utterance) -> tuple[float, float]:
        """Say something."""
        sound = utterance.samples.astype(np.float32) / 32768
        samples = (soxr.resample(sound, RATE, self._client.rate) * 32767).astype("<i2")
        begin = await self._client.say_samples(samples)
        return begin, begin + utterance.end

    async def starts(self, gap: float) -> list[float]:
        """Tell when sound began."""
        return self._playing.starts(gap)

    async def last(self) -> float:
        """Tell when something was heard last."""
        return self._playing.last()

    async def sound(self) -> Sound:
        """Give all that was heard."""
        return self._playing.sound()


class Harness(Client):
    """Pipecat's eval harness as far as audio goes: what its own transport sends and takes."""

    def __init__(self) -> None:
        super().__init__(16_000)
        self._resampler = create_stream_resampler()

    async def greet(self) -> None:
        """Say who it is, and that it wants the sound."""
        await self._socket.send(eval_connect_message(EvalConnectionFlags(capture_bot_audio=True)))
        about = {"library": "bench", "library_version": "1"}
        await self._tell("client-ready", {"version": "1.0.0", "about": about})

    async def send(self, pcm: bytes) -> None:
        """Send a block."""
        audio = base64.b64encode(pcm).decode()
        await self._tell("raw-audio", {"base64Audio": audio, "sampleRate": self.rate, "numChannels": 1})

    async def take(self, message: str | bytes) -> None:
        """Take a message."""
        sent = json.loads(message)
        if sent["type"] == "eval-bot-audio":
            audio, rate = base64.b64decode(sent["data"]["audio"]), sent["data"]["sampleRate"]
            self._hear(await self._resampler.resample(audio, rate, self.rate))
        else:
            self.messages.append(sent)

    async def _tell(self, kind: str, data: dict) -> None:
        await self._socket.send(json.dumps({"label": "rtvi-ai", "type": kind, "id": "1", "data": data}))


class TerminalParty(Party):
    """A person at the terminal: our own transport's microphone and loudspeaker, paced like a sound card.

    Args:
        user: Sits before the microphone and behind the loudspeaker.
    """

    def __init__(self, user: User):
        self._user = user
        self._playing: Playing | None = None

    def played(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take a played block."""
        self._playing = self._playing or Playing(sample_rate)
        self._playing.take(np.frombuffer(audio, "<i2"), at)

    async def say(self, utterance: Utterance) -> tuple[float, float]:
        """Say something."""
        return await self._user.say(utterance)

    async def starts(self, gap: float) -> list[float]:
        """Tell when sound began."""
        return self._playing.starts(gap) if self._playing else []

    async def last(self) -> float:
        """Tell when something was heard last."""
        return self._playing.last() if self._playing else 0.0

    async def sound(self) -> Sound:
        """Give all that was heard."""
        assert self._playing, "nothing was played"
        return self._playing.sound()


# Shorter than any silence that is asked for.
_SPELL_GAP_SECS = 0.1
# Keeps what the page's loudspeaker gets, by the clock of the audio context that is its microphone too.
_EAR = """
const hears = (track) => {
  const source = window.sounds.createMediaStreamSource(new MediaStream([track]));
  const node = new AudioWorkletNode(window.sounds, "ear");
  node.port.onmessage = ({ data }) => {
    window.ear.push(data);
    if (!data.samples.some((sample) => Math.abs(sample) > LOUD)) return;
    const spell = window.spells.at(-1);
    if (spell && data.at - spell[1] < GAP) spell[1] = data.at;
    else window.spells.push([data.at, data.at]);
  };
  source.connect(node).connect(window.sounds.destination);
};
const code = `registerProcessor("ear", class extends AudioWorkletProcessor {
  #held = []; #at = 0;
  process([[samples]], [[out]]) {
    if (!this.#held.length) this.#at = currentTime;
    const whole = (sample) => 32767 * Math.max(-1, Math.min(1, sample));
    this.#held.push(samples ? Int16Array.from(samples, whole) : new Int16Array(128));
    if (this.#held.length === 4) {
      const all = new Int16Array(512);
      this.#held.forEach((block, index) => all.set(block, 128 * index));
      this.port.postMessage({ at: this.#at, samples: all });
      this.#held = [];
    }
    return true;
  }
})`;
window.ear = [];
// When sound began and was heard last, after each silence: asked for again and again, so there may be little of it.
window.spells = [];
window.peers = [];
const file = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
window.earReady = window.sounds.audioWorklet.addModule(file);
const Native = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Native {
  constructor(...given) {
    super(...given);
    window.peers.push(this);
    this.addEventListener("track", async ({ track }) => {
      await window.earReady;
      if (track.kind === "audio") hears(track);
    });
  }
};
""".replace("LOUD", str(LOUD)).replace("GAP", str(_SPELL_GAP_SECS))
# What the browser holds back so that packets that come late leave no gap: seconds in sum, and of how many samples.
_BUFFERED = """async () => {
  const all = [...(await window.peers.at(-1).getStats()).values()];
  const sound = all.find(({ type, kind }) => type === "inbound-rtp" && kind === "audio");
  return [sound.jitterBufferDelay, sound.jitterBufferEmittedCount];
}"""
_TAKE = """() => {
  const all = new Int16Array(512 * window.ear.length);
  window.ear.forEach((block, index) => all.set(block.samples, 512 * index));
  const bytes = new Uint8Array(all.buffer);
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return { audio: btoa(text), times: window.ear.map((block) => block.at), rate: window.sounds.sampleRate };
}"""


class PageParty(Party):
    """A person before the page, in Chromium.

    Args:
        page: The open page, whose talk has begun.
        offset: What is added to the audio context's clock to get this process's.
    """

    def __init__(self, page: "Page", offset: float):
        self._page = page
        self._offset = offset
        self._buffered = (0.0, 0)

    async def say(self, utterance: Utterance) -> tuple[float, float]:
        """Say something."""
        file = io.BytesIO()
        soundfile.write(file, utterance.samples, RATE, format="WAV")
        begin = self._offset + await self._page.evaluate(
            "recording => window.say(recording)", base64.b64encode(file.getvalue()).decode()
        )
        await asyncio.sleep(max(0.0, begin + len(utterance.samples) / RATE - time.monotonic()))
        return begin, begin + utterance.end

    async def starts(self, gap: float) -> list[float]:
        """Tell when sound began."""
        spells = await self._page.evaluate("window.spells")
        ends = [-1e9, *(end for _, end in spells)]
        return [start + self._offset for before, (start, _) in zip(ends, spells, strict=False) if start - before > gap]

    async def last(self) -> float:
        """Tell when something was heard last."""
        at = await self._page.evaluate("window.spells.at(-1)?.[1] ?? null")
        return 0.0 if at is None else at + self._offset

    async def sound(self) -> Sound:
        """Give all that was heard."""
        taken = await self._page.evaluate(_TAKE)
        playing = Playing(round(taken["rate"]))
        blocks = np.frombuffer(base64.b64decode(taken["audio"]), "<i2").reshape(-1, 512)
        for at, block in zip(taken["times"], blocks, strict=True):
            playing.take(block, at + self._offset)
        return playing.sound()

    async def held_back(self) -> float:
        """Tell what the jitter buffer did."""
        before, self._buffered = self._buffered, await self._page.evaluate(_BUFFERED)
        secs, count = (now - then for now, then in zip(self._buffered, before, strict=True))
        return secs / count if count else 0.0


async def _clock_offset(page: "Page") -> float:
    """From the page's audio context to this process: the closest of several readings."""
    readings = []
    for _ in range(15):
        before = time.monotonic()
        there = await page.evaluate("window.sounds.currentTime")
        after = time.monotonic()
        readings.append((after - before, (before + after) / 2 - there))
    return min(readings)[1]


@asynccontextmanager
async def before_the_page(url: str) -> AsyncIterator[PageParty]:
    """Open the page and begin to talk."""
    from playwright.async_api import expect

    from tests.bot.serve.browser import browsing

    async with browsing(url, script=_EAR, bypass_csp=True) as page:
        await page.click("#start")
        await expect(page.locator("#text")).to_be_enabled(timeout=30_000)
        await asyncio.sleep(1.0)
        yield PageParty(page, await _clock_offset(page))
        # A browser that is ended without it is missed after half a minute at the soonest.
        await page.click("#start")
        await expect(page.locator("#text")).to_be_disabled(timeout=30_000)


@asynccontextmanager
async def on_a_socket(make: Callable[[], Client], url: str) -> AsyncIterator[SocketParty]:
    """Open a socket and begin to talk."""
    client = make()
    party = SocketParty(client)
    async with client.calling(url):
        await asyncio.sleep(1.0)
        yield party


def served_parties(http: str, ws: str) -> dict[str, Callable[[], AbstractAsyncContextManager[Party]]]:
    """The parties of a server, by door.

    Args:
        http: Where its page is.
        ws: Where its sockets are.
    """
    return {
        "browser": lambda: before_the_page(http),
        "websocket": lambda: on_a_socket(Program, f"{ws}/ws-client"),
        "telephone": lambda: on_a_socket(Telephone, f"{ws}/ws"),
        "eval": lambda: on_a_socket(Harness, f"{ws}/ws"),
    }
