"""What somebody new gets wrong, each told in a line with its remedy, before anything is loaded for it."""

import asyncio
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from halfcascade.bot.backend import Choice
from halfcascade.bot.conversation import Conversation
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.settings import Backend, Settings
from halfcascade.bot.terminal import Terminal
from halfcascade.processors.chirp_tts.voices import check_voice
from halfcascade.processors.errors import ConfigurationError
from tests.bot.support import finish, start_bot


@pytest.mark.parametrize(
    ("written", "locale"),
    [
        ("ko-KR", "ko-KR"),
        ("ko_KR", "ko-KR"),
        ("ko_KR.UTF-8", "ko-KR"),
        (" en-us ", "en-US"),
        ("EN-us", "en-US"),
        ("cmn-Hans-CN", "cmn-Hans-CN"),
        ("ko", "ko"),
    ],
)
def test_a_locale_may_be_spelled_as_systems_do(written, locale):
    assert Settings(_env_file=None, language=written).language == locale


@pytest.mark.parametrize(
    ("voice", "meant"),
    [("Koree", "Kore"), ("kore", "Kore"), ("CHARON", "Charon"), ("Garfield", "choose one of Achernar")],
)
def test_a_mistyped_voice_is_answered_with_the_one_that_was_meant(voice, meant):
    with pytest.raises(ConfigurationError, match=f"no voice called '{voice}': .*{meant}"):
        check_voice(f"en-US-Chirp3-HD-{voice}", "en-US")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("hear", "없는 파일.wav"), "error: 없는 파일.wav does not exist: name a sound file"),
        (("say", "hi", "--out", "없는 폴더/소리.wav"), "error: There is no folder 없는 폴더: make it first"),
    ],
    ids=["hear", "say"],
)
async def test_a_wrong_path_is_told_before_servers_start(tmp_path, arguments, told):
    run = await finish(await start_bot(tmp_path, *arguments, "--backend", "emulator"), tmp_path / "s")
    assert run.error.startswith(told) and run.output.splitlines() == [run.error]


async def test_who_has_no_loudspeaker_need_not_wait_for_models(tmp_path, monkeypatch):
    async def load_for_ever(self, choice):
        await asyncio.Event().wait()

    def find_none(*wanted):
        raise ConfigurationError("No loudspeaker was found: connect one and try again.")

    monkeypatch.setattr(Conversation, "_find_servers", load_for_ever)
    monkeypatch.setattr("halfcascade.transports.devices.check_devices", find_none)
    session: Any = SimpleNamespace(folder=tmp_path)
    conversation = Conversation(Settings(_env_file=None), session, Terminal(), Outcome(), mirror=False, mind="scripted")
    with pytest.raises(ConfigurationError, match="No loudspeaker was found"):
        await asyncio.wait_for(conversation._find_servers_and_devices(Choice(Backend.EMULATOR, "")), 20)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a shell and /dev/full")
@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("--version <&- >&- 2>&-", 0, ""),
        ("--help >/dev/full", 1, "error: What is told cannot be written (No space left on device): free some space.\n"),
    ],
)
def test_output_that_leads_nowhere_is_no_traceback(tmp_path, line, code, said):
    script = f'"{sys.executable}" -m halfcascade {line}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, said)
