"""The doctor, and with it the clients and the embedded emulator, in an environment that names proxies."""

import pytest

from halfcascade.bot import backend
from halfcascade.bot.doctor import Status, examine
from halfcascade.bot.settings import Backend, Settings
from halfcascade.emulator.listening import proxy_exception
from tests.bot.support import ROOT
from tests.bot.test_doctor import no_google  # noqa: F401 - a fixture

RECORDING = ROOT / "bot" / "assets" / "demo_user.wav"
NAMES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "no_proxy")
DEAD = "http://127.0.0.1:9"
SOCKS = {"ALL_PROXY": "socks5://127.0.0.1:9"}
HTTP = {"HTTP_PROXY": DEAD, "https_proxy": DEAD, "HTTPS_PROXY": DEAD, "grpc_proxy": DEAD, "http_proxy": DEAD}
EXCEPTIONS = ("", "example.com, *.internal,10.0.0.0/8,[::1]", "127.0.0.1:1", ".localhost", " , ,")
ODD = (
    {"all_proxy": "socks5h://somebody:pa%40ss@127.0.0.1:9"},
    {"HTTPS_PROXY": "127.0.0.1:9"},
    {"ALL_PROXY": "nonsense://[x"},
    {**HTTP, "NO_PROXY": "*"},
    *({**HTTP, "NO_PROXY": exception} for exception in EXCEPTIONS),
)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    """None of the names set."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def diagnose(tmp_path, chosen: Backend) -> list[str]:
    """The lines of the doctor."""
    settings = Settings(_env_file=None, session=tmp_path / "session", user_audio=RECORDING, backend=chosen)
    findings = await examine(settings, make_noise=False, tell=lambda _: None)
    lines = [str(finding) for finding in findings]
    assert all("\n" not in line and "Traceback" not in line for line in lines)
    return [line for finding, line in zip(findings, lines, strict=True) if finding.status is Status.FAIL]


async def hears_and_speaks(tmp_path, monkeypatch, proxies, mind: str) -> None:
    for name, value in proxies.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(backend.Emulator.__init__.__kwdefaults__, "mind", mind)
    assert await diagnose(tmp_path, Backend.EMULATOR) == []


async def test_no_proxy_keeps_the_embedded_emulator_from_being_found(no_google, tmp_path, monkeypatch):  # noqa: F811
    await hears_and_speaks(tmp_path, monkeypatch, {**SOCKS, **HTTP, "NO_PROXY": EXCEPTIONS[1]}, "scripted")


@pytest.mark.slow
@pytest.mark.parametrize("proxies", [SOCKS, HTTP, *ODD], ids=str)
async def test_the_embedded_emulator_is_found_past_any_proxy(no_google, tmp_path, monkeypatch, proxies):  # noqa: F811
    await hears_and_speaks(tmp_path, monkeypatch, proxies, "local" if proxies is SOCKS else "scripted")


@pytest.mark.parametrize("proxies", [SOCKS, HTTP, *ODD[:3]], ids=str)
async def test_google_behind_a_dead_proxy_is_a_line_a_service(no_google, tmp_path, monkeypatch, proxies):  # noqa: F811
    for name, value in {**proxies, "GOOGLE_API_KEY": "any-key"}.items():
        monkeypatch.setenv(name, value)
    # No machine of Google's, whatever the proxies do.
    for name in ("SPEECH_EMULATOR_HOST", "TEXTTOSPEECH_EMULATOR_HOST"):
        monkeypatch.setenv(name, "nowhere.invalid:9")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "https://nowhere.invalid:9")
    failures = await diagnose(tmp_path, Backend.GOOGLE)
    assert failures and all(": " in line for line in failures)
    assert failures[-1].endswith("above first.")


@pytest.mark.parametrize("known", [*EXCEPTIONS, "*", "localhost", "127.0.0.1,localhost"])
def test_the_exception_is_added_to_those_there_are(monkeypatch, known):
    assert proxy_exception("127.0.0.1") == {}
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", known)
    made = proxy_exception("emulator")
    assert made["no_proxy"] == made["NO_PROXY"]
    assert {"emulator", "127.0.0.1", "localhost"} <= set(made["no_proxy"].split(","))
    assert made["no_proxy"].startswith(known)
    assert len(made["no_proxy"].split(",")) - len(known.split(",")) <= 3
