"""The doctor judges the talk that would be held: its recording, processors, tools and services, on either backend."""

import asyncio
import functools
import re
import shlex
import sys
import time

import pytest

from halfcascade.bot.backend import Emulator
from halfcascade.bot.doctor import Status, examine, run_doctor, talk
from halfcascade.bot.doctor.findings import Daemons, within
from halfcascade.bot.settings import Backend, Settings
from halfcascade.emulator.minds.local.packages import lacks_weights, missing_packages
from halfcascade.lines import use_language
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.gemini_live.mcp_tools import McpServer
from tests.bot.support import ROOT
from tests.processors.gemini_live.test_tools import mcp_server

RECORDING = ROOT / "bot" / "assets" / "demo_user.wav"


def chosen(tmp_path, **values) -> Settings:
    return Settings(**{"_env_file": None, "session": tmp_path / "session", "user_audio": RECORDING, **values})


async def diagnose(settings: Settings) -> list[str]:
    """All lines, with their status."""
    lines: list[str] = []
    findings = await examine(settings, make_noise=False, tell=lambda f: lines.append(f"{f.status} {f}"))
    assert len(lines) == len(findings)
    assert all("\n" not in line and "Traceback" not in line for line in lines)
    assert (findings[-1].status is Status.FAIL) == any(line.startswith("fail") for line in lines[:-1])
    return lines


def failed(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("fail")]


@pytest.fixture(params=["google", "emulator"])
def backend(request, google_emulator, monkeypatch):
    """Either backend, both of them emulated; the embedded one with a mind that is up at once."""
    monkeypatch.setattr(talk, "Emulator", functools.partial(Emulator, mind="scripted"))
    monkeypatch.setattr(talk, "can_start_emulator", lambda settings: True)
    return Backend(request.param)


async def test_all_is_well_on_either_backend(backend, tmp_path):
    lines = await diagnose(chosen(tmp_path, backend=backend))
    assert failed(lines) == []
    text = "\n".join(lines)
    for part in ("chirp_3 in us", "gemini-3.8-live speaks", "demo_user.wav", f"`talk` would use {backend}"):
        assert part in text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"language": "english"}, "is no locale the voice can speak"),
        ({"voice": "Garfield"}, "no voice called 'Garfield'"),
        ({"model": "gemini-1.0-nano"}, "gemini-1.0-nano does not exist for the Live API"),
        ({"stt_location": "us-central1"}, 'not served in the location "us-central1"'),
    ],
)
async def test_what_google_would_refuse_fails_on_either_backend(backend, tmp_path, values, said):
    lines = await diagnose(chosen(tmp_path, backend=backend, **values))
    assert any(said in line for line in failed(lines)), lines


async def test_what_is_wrong_around_the_services_fails_too(backend, tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("this is no Python\n")
    (tmp_path / "odd.py").write_text("def make():\n    raise RuntimeError('no such luck')\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings = chosen(
        tmp_path,
        backend=backend,
        user_audio=tmp_path / "missing.wav",
        processors=["broken:make", "odd:make", "nowhere:make"],
        mcp_servers=["no-such-program --token private"],
    )
    lines = await diagnose(settings)
    for said in (
        "missing.wav does not exist",
        "SyntaxError: invalid syntax",
        "RuntimeError: no such luck",
        "No module named 'nowhere'",
        "The MCP server no-such-program cannot be used",
    ):
        assert any(said in line for line in failed(lines)), (said, lines)
    assert "private" not in "".join(lines)


async def test_tools_of_servers_are_listed_and_two_of_one_name_told(backend, tmp_path):
    server = shlex.join([sys.executable, "-c", mcp_server().replace("double", "get_current_time")])
    lines = await diagnose(chosen(tmp_path, backend=backend, mcp_servers=[server]))
    assert failed(lines) == []
    text = "\n".join(lines)
    assert "get_current_time" in text and "that name was taken" in text


async def test_a_server_that_never_answers_does_not_hang_it(tmp_path, google_emulator, monkeypatch):
    monkeypatch.setattr(McpServer.connect, "__defaults__", (1.0,))
    began = time.monotonic()
    lines = await diagnose(chosen(tmp_path, mcp_servers=["sleep 1000"]))
    assert any("The MCP server sleep cannot be used (no answer within 1 s)" in line for line in failed(lines))
    assert time.monotonic() - began < 40


@pytest.mark.parametrize(
    ("raises", "said"),
    [
        (ConfigurationError("It is odd: mend it."), "It is odd: mend it."),
        (ValueError("what?\nno"), "Something could not be checked (ValueError: what? no)"),
        (TimeoutError(), "Something: no answer within 5 s"),
    ],
)
async def test_whatever_a_check_raises_is_one_finding(raises, said):
    async def check():
        raise raises

    (finding,) = await within(5, "Something", check())
    assert finding.status is Status.FAIL and str(finding).startswith(said)


def test_a_thread_that_hangs_keeps_nobody_waiting():
    async def hang():
        asyncio.get_running_loop().set_default_executor(Daemons())
        return await within(0.2, "The disk", asyncio.to_thread(time.sleep, 60))

    began = time.monotonic()
    (finding,) = asyncio.run(hang())
    assert "The disk: no answer" in str(finding)
    assert time.monotonic() - began < 20


@pytest.mark.slow
@pytest.mark.skipif(bool(missing_packages()) or lacks_weights(), reason="needs the local mind (make demo)")
def test_the_local_mind_is_asked_in_earnest(tmp_path, capsys):
    settings = chosen(tmp_path, backend=Backend.EMULATOR)
    assert run_doctor(settings, make_noise=False) == 0
    assert "Gemini Live answers" in capsys.readouterr().out
    (tmp_path / "no.gguf").write_bytes(b"no model")
    broken = settings.model_copy(update={"llm_path": tmp_path / "no.gguf"})
    assert run_doctor(broken, make_noise=False) == 1
    assert "language model cannot be loaded" in capsys.readouterr().out


async def test_the_usual_failures_are_told_in_korean(backend, tmp_path, monkeypatch):
    (tmp_path / "odd.py").write_text("def make():\n    raise RuntimeError('no such luck')\n")
    monkeypatch.syspath_prepend(tmp_path)
    wrong = [
        {
            **{"voice": "Garfield", "model": "gemini-1.0-nano", "stt_location": "us-central1"},
            **{"user_audio": tmp_path / "missing.wav", "mcp_servers": ["no-such-program"]},
            "processors": ["odd:make", "nowhere:make"],
        },
        {"language": "english", "user_audio": None, "input_device": "no such"},
    ]
    use_language("ko-KR")
    try:
        lines = [line for values in wrong for line in await diagnose(chosen(tmp_path, backend=backend, **values))]
    finally:
        use_language("en-US")
    assert len(failed(lines)) >= 8
    for line in lines:
        # What programs and other people said stands in parentheses, quotes or backticks.
        ours = re.sub(r"\(.*\)|`[^`]*`|“[^”]*”|'[^']*'", "", line.partition(" ")[2])
        assert not re.search(r"\b[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}\b", ours), line
