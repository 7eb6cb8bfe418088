"""Chromium without a window, with a recording as its microphone."""

import base64
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import Enum, auto
from pathlib import Path

import pytest
from aioice.ice import StunProtocol
from playwright.async_api import Page, async_playwright

from tests.bot.support import DATA, recording

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
# A microphone that hears what the test lets it hear, when it lets it.
_MICROPHONE = """
const context = new AudioContext();
const heard = context.createGain();
window.sounds = context;
// A room is never quite silent, and a microphone never stops.
const room = new ConstantSourceNode(context, { offset: 1e-5 });
room.connect(heard);
room.start();
// Each time another one: the page ends it when the talk is over.
navigator.mediaDevices.getUserMedia = async () => {
  const microphone = context.createMediaStreamDestination();
  heard.connect(microphone);
  return microphone.stream;
};
window.say = async (recording) => {
  const source = context.createBufferSource();
  const bytes = Uint8Array.from(atob(recording), (letter) => letter.charCodeAt(0));
  source.buffer = await context.decodeAudioData(bytes.buffer);
  source.connect(heard);
  const at = context.currentTime + 0.02;
  source.start(at);
  return at;
};
"""
# A recorded user's level is right as it is, and the scripted mind knows recordings by their sound.
_UNPROCESSED = """
const wanted = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = () => wanted({
  audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
});
"""


class Microphone(Enum):
    """What the page's microphone is."""

    DENIED = auto()
    OURS = auto()


async def say(page: Page, name: str) -> None:
    """Let the microphone hear a recording from now on."""
    sound = (DATA / recording(name)["file"]).read_bytes()
    await page.evaluate("recording => window.say(recording)", base64.b64encode(sound).decode())


@contextmanager
def lost_network() -> Iterator[None]:
    """Let no packet of WebRTC through in either direction; Chromium's own switches do not reach them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("datagram_received", "send_stun"):
            patch.setattr(StunProtocol, name, lambda *_: None)
        patch.setattr(StunProtocol, "send_data", _swallowed)
        yield


async def _swallowed(*_: object) -> None:
    pass


@asynccontextmanager
async def browsing(
    url: str, microphone: Microphone | Path = Microphone.OURS, script: str = "", **options
) -> AsyncIterator[Page]:
    """Open the page.

    Args:
        url: Where it is.
        microphone: Ours, denied, or a file that Chromium's own fake device plays from when it is opened.
        script: Runs in the page before its own, behind the microphone's.
        **options: For the browser's context.
    """
    arguments = ["--use-fake-device-for-media-stream"]
    if isinstance(microphone, Path):
        arguments += ["--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*_QUIET, *arguments])
        context = await browser.new_context(viewport={"width": 900, "height": 640}, **options)
        if microphone is Microphone.OURS:
            await context.add_init_script(_MICROPHONE + script)
        elif isinstance(microphone, Path):
            await context.add_init_script(_UNPROCESSED)
        page = await context.new_page()
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        await page.goto(url)
        yield page
        assert not troubles
        await browser.close()
