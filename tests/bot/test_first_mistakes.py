"""What somebody new gets wrong, each told in a line with its remedy, before anything is loaded for it."""

import asyncio
import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from rich.console import Console

from halfcascade.__main__ import run
from halfcascade.bot.backend import Choice
from halfcascade.bot.choices import check_command
from halfcascade.bot.conversation import Conversation
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.serve.server import run_server
from halfcascade.bot.serve.settings import ServeSettings
from halfcascade.bot.settings import Backend, Settings
from halfcascade.bot.terminal import Terminal
from halfcascade.lines import tr_error, use_language
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
        (("say", "hi", "--out", "소리"), "error: The ending of 소리 names no format of sound: name a file"),
    ],
    ids=["hear", "folder", "format"],
)
async def test_a_wrong_path_is_told_before_servers_start(tmp_path, arguments, told):
    run = await finish(await start_bot(tmp_path, *arguments, "--backend", "emulator"), tmp_path / "s")
    assert run.error.startswith(told) and run.output.splitlines() == [run.error]


NO_FORM = "give it as package.module:factory, importable from here."
WRONG = {
    "no module": ({"processors": ["nowhere_at_all:make"]}, "cannot be loaded (No module named 'nowhere_at_all')"),
    "no name": ({"processors": ["json:make"]}, "cannot be loaded (module 'json' has no attribute 'make')"),
    "no factory": ({"processors": ["json"]}, "--processor json names no factory: " + NO_FORM),
    "nothing to call": ({"processors": ["json:__name__"]}, "is a str, which cannot be called: " + NO_FORM),
    "no recording": ({"user_audio": "nowhere.wav"}, "The user audio nowhere.wav does not exist"),
    "no earlier talk": ({"continue_from": "nowhere"}, "nowhere does not exist: name a session folder"),
    "no model": ({"llm_path": "nowhere.gguf"}, "There is no model file nowhere.gguf"),
    "no voice": ({"voice": "Koree"}, "did you mean Kore?"),
    "no detection": ({"stt_model": "chirp_2", "stt_languages": ["auto"]}, "does not detect the language"),
    "no such place": ({"stt_location": "global"}, "is not served in the location"),
    "no notes": ({"notes": "/dev/null/notes.md"}, "The notes /dev/null/notes.md cannot be written"),
}
LATE = ("no voice", "no detection", "no such place", "no notes")  # their modules are loaded beside the networks


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_chosen_wrongly_is_told_before_networks_and_servers(tmp_path, monkeypatch, wrong):
    begun: list[str] = []

    async def begin(*_: object, imported: asyncio.Event | None = None, **__: object) -> dict[str, str]:
        begun.append("")
        if imported:
            imported.set()
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr("halfcascade.bot.conversation.load", begin)
    monkeypatch.setattr("halfcascade.bot.conversation.Emulator.start", begin)
    monkeypatch.setattr("halfcascade.transports.devices.check_devices", lambda *_: None)
    chosen, told = WRONG[wrong]
    session: Any = SimpleNamespace(folder=tmp_path, emit=lambda *_, **__: None)
    settings = Settings(_env_file=None, backend=Backend.EMULATOR, **chosen)
    conversation = Conversation(settings, session, Terminal(), Outcome(), mirror=False, mind="scripted")
    with pytest.raises(ConfigurationError) as error:
        await asyncio.wait_for(conversation.run(), 60)
    assert told in str(error.value)
    assert begun == [] or wrong in LATE
    use_language("ko-KR")
    korean = tr_error(str(error.value))
    assert not re.search(r"[a-z]{3,} [a-z]{3,} [a-z]{3,}", korean), korean


def test_a_server_tells_a_wrong_choice_before_networks_load(monkeypatch):
    def load(*_):
        pytest.fail("Networks are loaded.")

    monkeypatch.setattr("halfcascade.bot.serve.server.load", load)
    monkeypatch.setattr("halfcascade.bot.serve.server.log_to", lambda *_, **__: None)
    monkeypatch.setattr("halfcascade.bot.serve.server.intercept_logging", lambda: None)
    out = io.StringIO()
    settings = Settings(_env_file=None, backend=Backend.EMULATOR, processors=["nowhere_at_all:make"])
    assert run_server(settings, ServeSettings(_env_file=None, port=0), terminal=Terminal(Console(file=out))) == 1
    assert "--processor nowhere_at_all:make cannot be loaded" in out.getvalue()


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ("no-such-mcp --key s3cret", r"The MCP server no-such-mcp cannot be used \(no such program\)"),
        ("say 'hi", "check its quotes"),
    ],
)
def test_a_tool_server_that_is_not_here_is_told_without_its_arguments(server, told):
    with pytest.raises(ConfigurationError, match=told) as error:
        check_command(server)
    assert "s3cret" not in str(error.value)
    for usable in ("https://example.com/mcp", f"{sys.executable} -m server"):
        check_command(usable)


LONG = "a" * 300


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("say", "hi", "--out", f"{LONG}.wav"), f"{LONG}.wav cannot be written"),
        (("hear", LONG), f"{LONG} cannot be used"),
        (("report", LONG), f"{LONG}/events.jsonl cannot be used"),
        (("diff", LONG, "."), f"{LONG}/events.jsonl cannot be used"),
        (("replay", LONG), f"{LONG}/services.jsonl cannot be used"),
        (("sessions", "--root", LONG), f"{LONG} cannot be used"),
        (("talk", "--user-audio", LONG), f"{LONG} cannot be used"),
        (("serve", "--port", "0", "--keep-sessions", LONG), f"Sessions cannot be kept in {LONG}"),
        (("serve", "--port", "0", "--keep-sessions", "file/x"), "Sessions cannot be kept in file/x"),
        (("replay", "file"), "file is no folder: name a session folder"),
        (("emulator", "--tls-folder", "file/x"), "file/x cannot be used"),
        (("emulator", "--scenario", LONG), f"{LONG} cannot be used"),
        (("emulator", "--ready-file", "gone/ready.json"), "There is no folder gone: make it first"),
    ],
    ids=lambda value: "-".join(value).replace(LONG, "LONG") if isinstance(value, tuple) else "",
)
def test_a_path_that_no_file_can_have_is_told_by_every_command(tmp_path, monkeypatch, capfd, arguments, told):
    def leave(code: int) -> NoReturn:
        raise SystemExit(code)

    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr("halfcascade.__main__.atexit._run_exitfuncs", lambda: None)
    # Both would stay with the tests that follow.
    monkeypatch.setattr("halfcascade.emulator.lean.leave_out_clients", lambda: None)
    monkeypatch.setattr("halfcascade.bot.desk.set_up_logs", lambda *_, **__: None)
    monkeypatch.setattr(sys, "argv", ["halfcascade", *arguments])
    with pytest.raises(SystemExit) as ending:
        run()
    out, err = capfd.readouterr()
    errors = [line for line in (out + err).splitlines() if line.startswith("error: ")]
    assert ending.value.code in (1, 2)
    assert len(errors) == 1 and errors[0].startswith(f"error: {told}"), out + err
    assert "Traceback" not in err and "bug" not in out + err
    use_language("ko-KR")
    korean = tr_error(errors[0].removeprefix("error: "))
    assert not re.search(r"[a-z]{3,} [a-z]{3,} [a-z]{3,}", korean), korean


async def without_loudspeaker(choice: Choice, tmp_path, monkeypatch) -> None:
    async def go_on_for_ever(*args, **kwargs):
        await asyncio.Event().wait()

    def find_none(*wanted):
        raise ConfigurationError("No loudspeaker was found: connect one and try again.")

    monkeypatch.setattr("halfcascade.bot.conversation.load", go_on_for_ever)
    monkeypatch.setattr("halfcascade.bot.conversation.Emulator.start", go_on_for_ever)
    monkeypatch.setattr("halfcascade.transports.devices.check_devices", find_none)
    session: Any = SimpleNamespace(folder=tmp_path)
    conversation = Conversation(Settings(_env_file=None), session, Terminal(), Outcome(), mirror=False, mind="scripted")
    await asyncio.wait_for(conversation._find_servers_and_devices(choice), 20)


@pytest.mark.parametrize("backend", Backend)
async def test_who_has_no_loudspeaker_need_not_wait_for_models(backend, tmp_path, monkeypatch):
    monkeypatch.setattr("halfcascade.bot.conversation.check_google_access", lambda: None)
    with pytest.raises(ConfigurationError, match="No loudspeaker was found"):
        await without_loudspeaker(Choice(backend, ""), tmp_path, monkeypatch)


async def test_who_has_neither_credentials_nor_loudspeaker_is_told_of_credentials(tmp_path, monkeypatch):
    def refuse():
        time.sleep(0.1)
        raise ConfigurationError("There are no credentials: set GOOGLE_API_KEY.")

    monkeypatch.setattr("halfcascade.bot.conversation.check_google_access", refuse)
    with pytest.raises(ConfigurationError, match="GOOGLE_API_KEY"):
        await without_loudspeaker(Choice(Backend.GOOGLE, ""), tmp_path, monkeypatch)


FULL = "error: What is told cannot be written (No space left on device): free some space.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a shell and /dev/full")
@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("--version <&- >&- 2>&-", 0, ""),
        ("--help >/dev/full", 1, FULL),
        ("sessions >/dev/full", 1, FULL),
        ("sessions >/dev/full 2>/dev/full", 1, ""),
    ],
)
def test_output_that_leads_nowhere_is_no_traceback(tmp_path, line, code, said):
    script = f'"{sys.executable}" -m halfcascade {line}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, said)
