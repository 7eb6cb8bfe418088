"""The README's pictures of the program, made anew: ``python -m bench.pictures`` (or ``make pictures``), a few minutes.

The terminal and the report show a talk of ``halfcascade demo``, the page a talk with the scripted mind that is held in
a browser for the purpose. They show times: the machine must be quiet. Look at each, and keep it only if something of
the program looks different.
"""

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile
from PIL import Image
from playwright.async_api import ViewportSize, async_playwright, expect

from halfcascade.bot.money import Models, load_tariff
from halfcascade.bot.report.page import write_report
from halfcascade.bot.report.saved import load_talk
from halfcascade.bot.screen.app import TalkApp
from halfcascade.bot.screen.view import Levels, View
from halfcascade.bot.session.events import EventType
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.session.names import EVENTS
from halfcascade.bot.session.redaction import Redactor
from halfcascade.emulator.server import GoogleEmulator
from tests.bot.screen.test_app import Acts
from tests.bot.serve.browser import CHROMIUM, browsing, say
from tests.bot.serve.support import serving
from tests.bot.support import recordings_for

_DOCS = Path(__file__).parent.parent / "docs"
# How much of the last reply has been heard when the terminal is pictured, and what its meters show of it.
_SPOKEN_SECS, _BLOCK_SECS = 1.0, 0.1
_COLUMNS, _ROWS = 90, 28
_PAGE: ViewportSize = {"width": 760, "height": 480}
_REPORT: ViewportSize = {"width": 1180, "height": 860}
_SOON = 30_000
_COLOURS = 256
_SCENARIO = {
    "recordings": recordings_for("weather", "question", "actually"),
    "replies": [
        {"match": "weather", "text": "It will be sunny all day, with a light breeze from the sea."},
        # First, since what was cut off, the moon, is told along with the question behind it.
        {"match": "another question", "text": "Of course, please go ahead and ask me anything you like."},
        {
            "match": "moon",
            "text": "The moon is about three hundred eighty-four thousand kilometres away. If there were a road, you "
            "would walk for nine years, and you would have to take your own air with you.",
        },
    ],
}


def _hold_demo(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "bot", "demo", "--session", str(folder)], check=True)


def _hear(levels: Levels, recording: Path, moment: float) -> None:
    """Let the meters show how loud it was."""
    rate = soundfile.info(recording).samplerate
    block, _ = soundfile.read(recording, start=round(moment * rate), frames=round(_BLOCK_SECS * rate), dtype="int16")
    levels.captured(block[:, 0].tobytes(), rate, moment)
    levels.played(block[:, 1].tobytes(), rate, moment)


async def _picture_terminal(folder: Path, picture: Path) -> None:
    talk = load_talk(folder)
    hub, levels = EventHub(Redactor()), Levels()
    models = Models("chirp_3", str(talk.title["model"]), str(talk.title["voice"]))
    hub.metrics.tariff = load_tariff(models)
    view = View(hub, levels, title="  ".join((str(talk.title["language"]), models.llm, models.voice)))
    moment = max(event.t for event in talk.events if event.type == EventType.SPEAKING_STARTED) + _SPOKEN_SECS
    for event in talk.events:
        if event.t > moment:
            break
        for reducer in (hub.transcript, hub.metrics, view):
            reducer.apply(event)
    await asyncio.to_thread(_hear, levels, folder / "conversation.wav", moment)
    app = TalkApp(view, Acts(), dict)
    async with app.run_test(size=(_COLUMNS, _ROWS)) as pilot:
        await pilot.pause(1.0)
        shown = app.export_screenshot(title="halfcascade talk")
    await asyncio.to_thread(picture.write_text, shown, encoding="utf-8")


def _make_small(picture: Path) -> None:
    """A page has few colours; with a palette of them its picture takes a third."""
    Image.open(picture).convert("RGB").quantize(_COLOURS).save(picture, optimize=True)


def _without_paths(folder: Path, place: Path) -> Path:
    """A report that does not say where on this machine the recorded user's part lies."""
    copy = Path(shutil.copytree(folder, place / "shown"))
    talk = (copy / EVENTS).read_text("utf-8")
    (copy / EVENTS).write_text(re.sub(r'"user audio": "[^"]*"', '"user audio": ""', talk), "utf-8")
    return write_report(copy)


async def _picture_report(report: Path, picture: Path) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(viewport=_REPORT)
        await page.goto(report.as_uri())
        await page.wait_for_timeout(1000)
        await page.screenshot(path=picture)
        await browser.close()
    await asyncio.to_thread(_make_small, picture)


async def _picture_page(picture: Path) -> None:
    async with (
        GoogleEmulator(scenario=_SCENARIO) as google,
        serving(google.env) as served,
        browsing(served.http) as page,
    ):
        await page.set_viewport_size(_PAGE)
        heard = page.locator("#talk .bot .heard").last
        await page.click("#start")
        await expect(page.locator("#text")).to_be_enabled(timeout=_SOON)
        await say(page, "weather")
        await expect(heard).to_contain_text("from the sea.", timeout=_SOON)
        await say(page, "question")
        # What is said over the bot's first second would belong to the same turn.
        await expect(heard).to_contain_text("eighty-four", timeout=_SOON)
        await say(page, "actually")
        await expect(heard).to_contain_text("go ahead", timeout=_SOON)
        await page.screenshot(path=picture)
    await asyncio.to_thread(_make_small, picture)


async def _main(demo: Path | None) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = demo or Path(place) / "demo"
        if demo is None:
            await asyncio.to_thread(_hold_demo, folder)
        await _picture_terminal(folder, _DOCS / "terminal.svg")
        report = await asyncio.to_thread(_without_paths, folder, Path(place))
        await _picture_report(report, _DOCS / "report.png")
    await _picture_page(_DOCS / "page.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, help="session folder of a demo that was held before")
    asyncio.run(_main(parser.parse_args().demo))
