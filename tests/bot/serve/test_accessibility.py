"""What axe-core says of the page in each of its states; ``make accessibility`` fetches it."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from halfcascade.emulator.server import GoogleEmulator
from tests.bot.serve.browser import Microphone, browsing, needs_chromium, say
from tests.bot.serve.support import STORY, serving
from tests.bot.support import recordings_for

AXE = Path(__file__).parents[3] / ".cache/axe/node_modules/axe-core/axe.min.js"
SOON = 60_000
pytestmark = [
    needs_chromium,
    pytest.mark.slow,
    pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there: make accessibility"),
    pytest.mark.asyncio(loop_scope="module"),
]
SCENARIO = {
    "recordings": recordings_for("question", "actually"),
    "replies": [{"match": "moon", "text": STORY}, {"match": "another question", "text": "Please go ahead."}],
}


@pytest.fixture(scope="module")
async def google():
    async with GoogleEmulator(scenario=SCENARIO) as running:
        yield running


async def judge(page: Page) -> None:
    """Let axe-core judge the page as it is."""
    await page.evaluate(AXE.read_text())
    result = await page.evaluate("axe.run()")
    found = [(one["id"], [node["html"] for node in one["nodes"]]) for one in result["violations"]]
    assert not found
    assert len(result["passes"]) > 15


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
async def test_every_state_of_a_talk(google, scheme, locale):
    async with (
        serving(google.env) as served,
        browsing(served.http, color_scheme=scheme, locale=locale, bypass_csp=True) as page,
    ):
        await judge(page)
        await page.click("#settings-button")
        await judge(page)
        await page.click("#start")
        await expect(page.locator("#text")).to_be_enabled(timeout=SOON)
        await say(page, "question")
        await expect(page.locator("#talk .bot .heard").last).to_contain_text("old clock", timeout=SOON)
        await judge(page)
        await say(page, "actually")
        await expect(page.locator("#talk .bot.interrupted")).to_have_count(1, timeout=SOON)
        await page.click("#mute")
        await judge(page)
        await page.evaluate("document.body.dataset.state = 'reconnecting'")
        await judge(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_problems_that_are_told(google, scheme):
    async with (
        serving(google.env, token="a token that nobody guesses") as served,
        browsing(served.http, Microphone.DENIED, color_scheme=scheme, bypass_csp=True) as page,
    ):
        await page.click("#start")
        await expect(page.locator("#problem")).to_have_attribute("data-problem", "token", timeout=SOON)
        await judge(page)
