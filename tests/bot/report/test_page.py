import asyncio
import json
import os
import re
import shutil
import subprocess
import time

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner
from websockets.asyncio.client import connect

from halfcascade.bot.cli import app
from halfcascade.bot.money import Models, load_tariff
from halfcascade.bot.report.page import describe, render, write_report
from halfcascade.bot.report.saved import load_talk
from halfcascade.bot.report.sound import compress
from halfcascade.lines import use_language
from halfcascade.processors.errors import ConfigurationError
from tests.bot.report.folders import EVENTS, long_talk, make_folder

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def data_of(page: str) -> dict:
    """What a page shows."""
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_page_holds_what_happened(tmp_path):
    folder = make_folder(tmp_path / "s")
    page = write_report(folder, load_tariff(Models("chirp_3", "gemini-3.8-live", "en-US-Chirp3-HD-Charon")))
    data = data_of(page.read_text("utf-8"))
    assert [entry["who"] for entry in data["entries"]] == ["user", "tool", "bot", "user", "error"]
    bot = data["entries"][2]
    told = [(piece["text"], piece["heard"]) for piece in bot["pieces"]]
    assert told == [("It is ten", True), ("o'clock, and all is well.", False)]
    assert bot["interrupted"]
    assert [mark["kind"] for mark in data["marks"]] == ["tool", "interruption", "error"]
    turn = data["turns"][0]
    assert turn["latency_ms"] == 900
    assert turn["money"]["usd"] > 0
    assert data["money"]["discarded_audio_usd"] == pytest.approx(200 * 12e-6)
    assert data["settings"] == {"stt_model": "chirp_3"}
    assert len(data["peaks"][0]) == len(data["peaks"][1]) > 100


@pytest.mark.parametrize(
    ("reply", "heard"),
    [
        # A comma that the voice was given is no part of the reply.
        ("It is 7:04 in the evening.", [("It", "It"), (" is", "is"), (" 7:04,", "7:04"), (" in", "in")]),
        ("It is 5 * 3.", [("It", "It"), (" is", "is"), (" 5", ""), (" times", ""), (" 3", "5 * 3")]),
        ("네, 3시입니다.", [("네,", "네,"), (" 세", ""), (" 시입니다.", "3시입니다.")]),
    ],
)
def test_a_reply_is_told_as_it_is_written_wherever_it_is_clicked(tmp_path, reply, heard):
    events = [event for event in EVENTS if event["type"] != "heard"]
    place = next(place for place, event in enumerate(events) if event["type"] == "sound_began") + 1
    events[place:place] = [
        {"t": 3.0 + 0.05 * number, "type": "heard", "text": text, "written": written}
        for number, (text, written) in enumerate(heard)
    ]
    events = [{**event, "text": reply} if event["type"] == "reply_text" else event for event in events]
    page = write_report(make_folder(tmp_path / "s", events))
    bot = next(entry for entry in data_of(page.read_text("utf-8"))["entries"] if entry["who"] == "bot")
    told = "".join(text for piece in bot["pieces"] for _, text in piece["words"])
    assert reply.startswith(told) and told.split()[-1] == heard[-1][1].split()[-1]
    assert [text for _, text in bot["words"]] == [text for text, _ in heard]


def test_nothing_from_outside_is_acted_on(tmp_path):
    evil = "</script><img src=x onerror=alert(1)>\x1b]0;x\x07\u202e"
    events = [{**event, **({"text": evil} if "text" in event else {})} for event in EVENTS]
    events.insert(1, {"t": 0.0, "type": "error", "message": evil, "source": "x", "permanent": False})
    page = write_report(make_folder(tmp_path / "s", events)).read_text("utf-8")
    assert "<img src=x" not in page and "\x1b" not in page and "\u202e" not in page
    assert "default-src 'none'" in page
    assert not re.search(r"""(?:src|href)=["']?https?:""", page)


@pytest.mark.parametrize("state", ["missing", "empty", "broken", "mono"])
def test_a_recording_in_any_state(tmp_path, state):
    folder = make_folder(tmp_path / "s", seconds=0)
    path = folder / "conversation.wav"
    if state == "empty":
        soundfile.write(path, np.zeros((0, 2)), 24_000)
    elif state == "broken":
        path.write_bytes(b"RIFF\0\0\0\0WAVE")
    elif state == "mono":
        soundfile.write(path, np.zeros(24_000), 24_000)
    data = data_of(write_report(folder).read_text("utf-8"))
    assert data["sound_seconds"] == (1.0 if state == "mono" else 0.0)
    assert any("recording" in problem for problem in data["problems"]) == (state in ("missing", "broken"))


def test_the_sound_is_the_recordings(tmp_path):
    folder = make_folder(tmp_path / "s")
    sound = compress([folder / "conversation.wav"])
    (tmp_path / "x.mp3").write_bytes(sound.mp3)
    heard, rate = soundfile.read(tmp_path / "x.mp3")
    loud = [np.abs(heard[int(from_ * rate) : int(to * rate), side]).max() for side, from_, to in
            ((0, 1.2, 1.8), (0, 3.0, 3.5), (1, 1.2, 1.8), (1, 3.0, 3.5))]  # fmt: skip
    assert loud[0] > 0.2 and loud[3] > 0.4
    assert loud[1] < 0.02 and loud[2] < 0.02
    assert sound.seconds == 6.0


def test_a_full_disk_leaves_the_earlier_page_and_says_so_in_one_line(tmp_path, monkeypatch):
    folder = make_folder(tmp_path / "s")
    before = write_report(folder).read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(ConfigurationError, match="No space left") as raised:
        write_report(folder)
    assert "\n" not in str(raised.value)
    assert (folder / "report.html").read_bytes() == before
    assert not list(folder.glob(".*new"))


def test_the_command_makes_the_page_and_refuses_other_folders(tmp_path):
    folder = make_folder(tmp_path / "s")
    result = CliRunner().invoke(app, ["report", str(folder)])
    assert result.exit_code == 0, result.output
    assert "report.html" in result.output.replace("\n", "")
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert result.exit_code == 1
    assert "Traceback" not in result.output and "error: " in result.output


@pytest.mark.slow
def test_half_an_hour_fits(tmp_path):
    folder = long_talk(tmp_path / "s", 1_800.0)
    noise = np.random.default_rng(1).normal(0, 2_000, (24_000 * 60, 2)).astype(np.int16)
    with soundfile.SoundFile(folder / "conversation.wav", "w", 24_000, 2, "PCM_16") as file:
        for _ in range(30):
            file.write(noise)
    begun = time.process_time()
    page = write_report(folder)
    assert page.stat().st_size < 15e6
    assert time.process_time() - begun < 20.0


def test_a_page_of_many_turns_is_made_quickly(tmp_path):
    folder = long_talk(tmp_path / "s", 6_000.0)
    begun = time.process_time()
    talk = load_talk(folder)
    assert len(talk.metrics.turns) == 1_000
    data = describe(talk, compress_nothing())
    assert len(data["turns"]) == 1_000
    assert time.process_time() - begun < 15.0


def compress_nothing():
    from halfcascade.bot.report.sound import Sound

    return Sound(b"", (b"", b""), 0.0)


def test_a_talk_too_long_for_one_page_has_its_sound_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr("halfcascade.bot.report.sound._EMBEDDED_BYTES", 1_000)
    folder = make_folder(tmp_path / "s")
    data = data_of(write_report(folder).read_text("utf-8"))
    assert data["sound_file"] == "report.mp3"
    assert (folder / "report.mp3").stat().st_size > 1_000


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
async def test_chromium_opens_and_plays_it(tmp_path):
    page = write_report(make_folder(tmp_path / "s"))
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--remote-debugging-port=0",
        f"--user-data-dir={tmp_path}",
    ]
    options += ["--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream", page.as_uri()]
    process = subprocess.Popen(  # noqa: ASYNC220
        [CHROMIUM, *options],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    try:
        port_file = tmp_path / "DevToolsActivePort"
        async with asyncio.timeout(60):
            while not port_file.exists() or len(port_file.read_text().split()) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            port, path = port_file.read_text().split()
            async with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as browser:
                number = 0

                async def call(method, session=None, **params):
                    nonlocal number
                    number += 1
                    message = {"id": number, "method": method, "params": params}
                    await browser.send(json.dumps({**message, **({"sessionId": session} if session else {})}))
                    while (answer := json.loads(await browser.recv())).get("id") != number:
                        pass
                    return answer["result"]

                targets = (await call("Target.getTargets"))["targetInfos"]
                target = next(each["targetId"] for each in targets if each["url"].startswith("file:"))
                session = (await call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]

                async def js(code):
                    result = await call(
                        "Runtime.evaluate", session, expression=code, awaitPromise=True, returnByValue=True
                    )
                    assert "exceptionDetails" not in result, result
                    return result["result"].get("value")

                while await js("document.body.dataset.ready") != "yes":  # noqa: ASYNC110 asked over a socket
                    await asyncio.sleep(0.1)
                assert await js("talkPlayer.getDuration()") == pytest.approx(6.0, abs=0.1)
                assert await js("document.querySelectorAll('.entry').length") == 5
                assert "interrupted" in await js("document.getElementById('entries').textContent")
                await js("talkPlayer.setTime(2.5); talkPlayer.play()")
                while await js("talkPlayer.getCurrentTime()") < 3.0:  # noqa: ASYNC110 asked over a socket
                    await asyncio.sleep(0.1)
                assert await js("document.querySelector('.w.now') !== null")
    finally:
        process.terminate()
        process.wait(20)


def test_a_page_is_the_same_every_time(tmp_path):
    folder = make_folder(tmp_path / "s")
    sound = compress([folder / "conversation.wav"])
    assert render(load_talk(folder), sound) == render(load_talk(folder), sound)


def test_the_page_is_in_the_language_of_whoever_makes_it(tmp_path):
    folder = make_folder(tmp_path / "s", seconds=0)
    english = data_of(write_report(folder).read_text("utf-8"))
    assert all(told == line for line, told in english["lines"].items())
    use_language("ko-KR")
    korean = data_of(write_report(folder).read_text("utf-8"))
    assert korean["lines"].keys() == english["lines"].keys()
    assert korean["lines"]["What was said"] == "오간 말"
    assert korean["problems"] and not any(line in english["problems"] for line in korean["problems"])
