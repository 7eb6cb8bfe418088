"""Whole talks through the page, in a real browser over WebRTC."""

import asyncio
import signal

import pytest
from playwright.async_api import expect

from halfcascade.bot.session.transcript import BotSaid, UserSaid
from halfcascade.emulator.server import GoogleEmulator
from tests.bot.serve.browser import Microphone, browsing, lost_network, needs_chromium, say
from tests.bot.serve.support import STORY, address_of, certificate_files, serving, start_server
from tests.bot.support import recordings_for

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]
REPLIES = {"weather": "It will be sunny all day.", "actually": "Please go ahead."}
SCENARIO = {
    "recordings": recordings_for("weather", "question", "actually"),
    "replies": [
        {"match": "weather", "text": REPLIES["weather"]},
        {"match": "moon", "text": STORY},
        {"match": "another question", "text": REPLIES["actually"]},
        {"match": "written", "text": "I have read it."},
    ],
}
SOON = 20_000
AWAY = "Connection lost, trying again …"


@pytest.fixture(scope="module")
async def google():
    async with GoogleEmulator(scenario=SCENARIO) as running:
        yield running


async def test_a_talk_with_an_interruption_and_typing(google):
    async with serving(google.env) as served, browsing(served.http) as page:
        assert await page.locator("#start").inner_text() == "Talk"
        await page.click("#start")
        await expect(page.locator("#text")).to_be_enabled(timeout=SOON)
        await say(page, "weather")
        await expect(page.locator("#talk .user").first).to_have_text(
            "What will the weather be like tomorrow morning", timeout=SOON
        )
        # Captions follow the voice: something is still unheard while it speaks, nothing once it has spoken.
        first = page.locator("#talk .bot").first
        await expect(first.locator(".heard")).not_to_be_empty(timeout=SOON)
        await expect(first.locator(".heard")).to_have_text("It will be sunny all day.", timeout=SOON)
        await expect(page.locator("#latency")).to_contain_text("after your last word", timeout=SOON)
        await say(page, "question")
        await expect(page.locator("#talk .bot .heard").last).to_contain_text("old clock", timeout=SOON)
        await say(page, "actually")
        cut = page.locator("#talk .bot.interrupted")
        await expect(cut).to_have_count(1, timeout=SOON)
        await expect(cut.locator(".heard")).to_contain_text("Once upon a time")
        await expect(cut.locator(".rest")).to_contain_text("It ticked on and on")
        await expect(page.locator("#talk .bot .heard").last).to_have_text("Please go ahead.", timeout=SOON)
        await expect(page.locator("#status")).to_have_text("Listening", timeout=SOON)
        await page.fill("#text", "This is written.")
        await page.press("#text", "Enter")
        await expect(page.locator("#talk .bot .heard").last).to_have_text("I have read it.", timeout=SOON)
        await expect(page.locator("#talk .user").last).to_have_text("This is written.")
        await page.click("#start")
        await expect(page.locator("#status")).to_have_text("Not connected")
        await asyncio.wait_for(served.house.rooms.wait_until_empty(), 15)
    entries = served.hubs[0].transcript.entries
    assert len([entry for entry in entries if isinstance(entry, UserSaid)]) == 4
    assert [entry.interrupted for entry in entries if isinstance(entry, BotSaid)] == [False, True, False, False]


async def test_without_a_microphone_one_types_and_a_full_server_says_so(google):
    async with (
        serving(google.env, most_talks=1) as served,
        browsing(served.http, Microphone.DENIED, locale="ko-KR") as page,
    ):
        assert await page.locator("#start").inner_text() == "대화"
        await page.keyboard.press("Space")
        await expect(page.locator("#problem")).to_have_attribute("data-problem", "denied", timeout=SOON)
        await page.fill("#text", "This is written.")
        await page.press("#text", "Enter")
        await expect(page.locator("#talk .bot .heard")).to_have_text("I have read it.", timeout=SOON)
        second = await page.context.new_page()
        await second.goto(served.http)
        await second.click("#start")
        await expect(second.locator("#problem")).to_have_attribute("data-problem", "full", timeout=SOON)
        await second.close()
        # Whoever closes the page has left.
        await page.reload()
        await asyncio.wait_for(served.house.rooms.wait_until_empty(), 15)


@pytest.mark.slow
async def test_a_token_is_asked_for_and_taken(google):
    token = "a token that nobody guesses"
    async with serving(google.env, token=token) as served, browsing(served.http, Microphone.DENIED) as page:
        await page.click("#start")
        await expect(page.locator("#problem")).to_have_attribute("data-problem", "token", timeout=SOON)
        await expect(page.locator("#token")).to_be_focused()
        await page.fill("#token", token)
        await page.click("#start")
        await expect(page.locator("#text")).to_be_enabled(timeout=SOON)


@pytest.mark.slow
async def test_ten_turns_of_a_browser_whose_clock_is_wrong(google):
    turns = ("weather", *("question", "actually", "weather") * 3)
    hours_off = "const real = Date.now; Date.now = () => real() - 7 * 3600 * 1000 - 12345;"
    async with serving(google.env) as served, browsing(served.http, script=hours_off) as page:
        await page.click("#start")
        await expect(page.locator("#text")).to_be_enabled(timeout=SOON)
        for count, name in enumerate(turns, 1):
            await say(page, name)
            reply = page.locator("#talk .bot").nth(count - 1)
            if name == "question":
                await expect(reply.locator(".heard")).to_contain_text("old clock", timeout=SOON)
            else:
                await expect(reply.locator(".heard")).to_have_text(REPLIES[name], timeout=SOON)
                await expect(page.locator("#status")).to_have_text("Listening", timeout=SOON)
        await expect(page.locator("#talk .bot.interrupted")).to_have_count(turns.count("question"))
    entries = served.hubs[0].transcript.entries
    assert len([entry for entry in entries if isinstance(entry, UserSaid)]) == len(turns)
    interrupted = [entry.interrupted for entry in entries if isinstance(entry, BotSaid)]
    assert interrupted == [name == "question" for name in turns]


@pytest.mark.slow
async def test_a_network_that_is_lost_is_told_and_leaves_no_talk_behind(google):
    async with serving(google.env) as served, browsing(served.http) as page:
        await page.click("#start")
        await expect(page.locator("#text")).to_be_enabled(timeout=SOON)
        with lost_network():
            # A person learns soon that nobody hears them.
            await expect(page.locator("#status")).to_have_text(AWAY, timeout=10_000)
            await expect(page.locator("#problem")).to_have_attribute("data-problem", "lost", timeout=45_000)
            await expect(page.locator("#status")).to_have_text("Not connected")
            await asyncio.wait_for(served.house.rooms.wait_until_empty(), 45)
        await page.click("#start")
        await expect(page.locator("#text")).to_be_enabled(timeout=SOON)
        await expect(page.locator("#problem")).to_be_hidden()
        await say(page, "weather")
        await expect(page.locator("#talk .bot .heard")).to_have_text(REPLIES["weather"], timeout=SOON)


@pytest.mark.slow
async def test_a_talk_goes_on_whenever_the_network_comes_back(google):
    async with serving(google.env) as served, browsing(served.http) as page:
        await page.click("#start")
        await expect(page.locator("#text")).to_be_enabled(timeout=SOON)
        # The first is over before the browser tries anew; over the others its connection is made anew.
        for count, secs in enumerate((5, 13, 13), 1):
            with lost_network():
                await expect(page.locator("#status")).to_have_text(AWAY, timeout=10_000)
                await expect(page.locator("#text")).to_be_disabled()
                await asyncio.sleep(secs - 3)
            await expect(page.locator("#text")).to_be_enabled(timeout=SOON)
            await say(page, "weather")
            await expect(page.locator("#talk .bot .heard")).to_have_count(count, timeout=SOON)
            await expect(page.locator("#talk .bot .heard").last).to_have_text(REPLIES["weather"], timeout=SOON)
        assert len(served.hubs) == 1 and served.house.rooms.taken == 1
        await page.click("#start")
        await asyncio.wait_for(served.house.rooms.wait_until_empty(), 30)


@pytest.mark.slow
async def test_two_tabs_talk_each_for_itself_and_one_reloads_in_mid_answer(google):
    async with serving(google.env, most_talks=2) as served, browsing(served.http) as page:
        second = await page.context.new_page()
        await second.goto(served.http)
        for tab in (page, second):
            await tab.click("#start")
            await expect(tab.locator("#text")).to_be_enabled(timeout=SOON)
        await say(page, "question")
        await expect(page.locator("#talk .bot .heard")).to_contain_text("old clock", timeout=SOON)
        await page.reload()
        await expect(page.locator("#status")).to_have_text("Not connected", timeout=SOON)
        await second.fill("#text", "This is written.")
        await second.press("#text", "Enter")
        await expect(second.locator("#talk .bot .heard")).to_have_text("I have read it.", timeout=SOON)
        assert await second.locator("#talk li").all_inner_texts() == ["This is written.", "I have read it."]
        # The room of the talk that was left is free again.
        await page.click("#start")
        await expect(page.locator("#text")).to_be_enabled(timeout=SOON)
        await second.close()


@pytest.mark.slow
async def test_over_https_a_talk_goes_on_while_the_server_drains(google, tmp_path):
    certificate, key = certificate_files(tmp_path)
    files = {"HALFCASCADE_SERVE_TLS_CERTIFICATE": str(certificate), "HALFCASCADE_SERVE_TLS_KEY": str(key)}
    process = await start_server(tmp_path, "--port", "0", **google.env, **files)
    url = await address_of(process)
    assert url.startswith("https://")
    async with browsing(url, ignore_https_errors=True) as page:
        second = await page.context.new_page()
        await second.goto(url)
        await page.click("#start")
        await expect(page.locator("#text")).to_be_enabled(timeout=SOON)
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(1.0)
        await second.click("#start")
        await expect(second.locator("#problem")).to_have_attribute("data-problem", "full", timeout=SOON)
        await say(page, "weather")
        await expect(page.locator("#talk .bot .heard")).to_have_text(REPLIES["weather"], timeout=SOON)
        assert process.returncode is None
        await page.click("#start")
        rest, _ = await asyncio.wait_for(process.communicate(), 30)
        await second.close()
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in rest.decode()
