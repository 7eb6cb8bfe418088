import io
import sys
import time

import pytest
from rich.console import Console

from halfcascade.bot.backend import choose_backend
from halfcascade.bot.doctor import Finding, Status, examine, expect, list_devices, machine, run_doctor
from halfcascade.bot.doctor.audio import AudioReading, chirp_and_hush, find_delay
from halfcascade.bot.listings import print_devices
from halfcascade.bot.settings import Backend, Settings
from halfcascade.bot.terminal import Terminal
from halfcascade.emulator.faults import Fault
from halfcascade.lines import use_language
from halfcascade.transports.devices import Device, Direction
from halfcascade.transports.resample import StreamResampler
from tests.bot.support import ROOT
from tests.transports.conftest import sound_card, sound_server  # noqa: F401 - fixtures
from tests.virtual_audio import Room

RECORDING = ROOT / "bot" / "assets" / "demo_user.wav"
GOOGLE = ("GOOGLE_API_KEY", "GEMINI_API_KEY", "SPEECH_EMULATOR_HOST", "TEXTTOSPEECH_EMULATOR_HOST")


@pytest.fixture
def no_google(monkeypatch, tmp_path):
    """A machine without any Google access."""
    for name in (*GOOGLE, "GOOGLE_GEMINI_BASE_URL", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_GENAI_USE_VERTEXAI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def settings(tmp_path, **values):
    return Settings(_env_file=None, session=tmp_path / "session", **values)


async def diagnose(chosen, **kwargs):
    told = []
    findings = await examine(chosen, make_noise=False, tell=told.append, **kwargs)
    assert told == findings
    assert all("\n" not in str(finding) for finding in findings)
    return findings


def failures(findings):
    return [str(finding) for finding in findings if finding.status is Status.FAIL]


async def test_all_is_well_with_devices_and_all_three_services(sound_card, google_emulator, tmp_path):  # noqa: F811
    sound_card.open_speaker(Room())
    findings = await diagnose(settings(tmp_path))
    assert failures(findings) == []
    lines = "\n".join(map(str, findings))
    for part in (
        "Python 3.", "pipecat-ai 1.14", "PortAudio", "Microphone: VirtualMicrophone", "Loudspeaker: VirtualSpeaker",
        "hears the room at", "project emulator", "chirp_3 in us", "en-US-Chirp3-HD-Charon", "gemini-3.8-live speaks",
        "Sessions go to",
    ):  # fmt: skip
        assert part in lines
    assert "`talk` would use google" in str(findings[-1])
    assert "after you stop speaking" in str(findings[-1])


async def test_services_are_all_asked_in_earnest(google_emulator, tmp_path):
    await diagnose(settings(tmp_path, user_audio=RECORDING))
    for api in ("speech", "tts", "live"):
        assert google_emulator.log.find(api), api


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"voice": "Garfield"}, "no voice called 'Garfield'"),
        ({"voice": "ko-KR-Chirp3-HD-Kore"}, "speaks ko-KR, but the language is en-US"),
        ({"stt_location": "us-central1"}, 'not served in the location "us-central1"'),
        ({"model": "gemini-1.0-nano"}, "gemini-1.0-nano does not exist for the Live API"),
    ],
)
async def test_a_setting_that_google_would_refuse_fails_with_its_remedy(google_emulator, tmp_path, values, said):
    findings = await diagnose(settings(tmp_path, user_audio=RECORDING, **values))
    assert len(failures(findings)) == 2, failures(findings)
    assert said in failures(findings)[0]
    assert ": " in failures(findings)[0]
    assert "mend one thing above" in failures(findings)[1]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(api="speech", kind="error", code="PERMISSION_DENIED"), "gcloud services enable speech.googleapis.com"),
        (Fault(api="tts", kind="error", code="UNAUTHENTICATED"), "gcloud auth application-default login"),
    ],
)
async def test_an_api_that_is_not_enabled_is_told_with_the_command(google_emulator_factory, tmp_path, fault, said):
    await google_emulator_factory(faults=[fault])
    findings = await diagnose(settings(tmp_path, user_audio=RECORDING))
    assert any(said in line for line in failures(findings)), failures(findings)


async def test_servers_that_are_not_there_fail_and_do_not_hang(no_google, monkeypatch, tmp_path):
    for name in ("SPEECH_EMULATOR_HOST", "TEXTTOSPEECH_EMULATOR_HOST"):
        monkeypatch.setenv(name, "127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "https://127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_API_KEY", "any")
    began = time.monotonic()
    findings = await diagnose(settings(tmp_path, user_audio=RECORDING, backend=Backend.GOOGLE))
    assert len(failures(findings)) == 4
    assert time.monotonic() - began < 30
    assert "any" not in "".join(failures(findings)).split()


async def test_without_credentials_google_fails_and_auto_takes_the_emulator(no_google, tmp_path):
    wav = RECORDING
    findings = await diagnose(settings(tmp_path, user_audio=wav, backend=Backend.GOOGLE))
    assert any("gcloud auth application-default login" in line for line in failures(findings))
    findings = await diagnose(settings(tmp_path, user_audio=wav))
    assert "`talk` would use emulator (because no GOOGLE_API_KEY is set" in str(findings[-1])


async def test_no_microphone_fails(sound_card, no_google, tmp_path):  # noqa: F811
    sound_card.unplug("microphone")
    findings = await diagnose(settings(tmp_path))
    assert any("There is no microphone" in line for line in failures(findings))
    findings = await diagnose(settings(tmp_path, output_device="Virtul Speaker"))
    assert any("did you mean “VirtualSpeaker”" in line for line in failures(findings))


async def test_echo_is_measured_with_a_chirp(sound_card, tmp_path):  # noqa: F811
    sound_card.open_speaker(Room(gain_db=-6, delay_secs=0.1))
    room, echo = await machine.check_sound(settings(tmp_path), make_noise=True)
    assert "-6" in room.line
    assert echo.status is not Status.FAIL
    assert "round trip" in str(echo)
    told = float(str(echo).partition("round trip ")[2].split()[0])
    # 100 ms of air, 40 of the loudspeaker's buffer and 40 of the virtual devices; 180 on a machine with nothing to do.
    assert 60 < told < 500


def test_a_headset_and_bad_cancelling_are_judged():
    chosen = Settings(_env_file=None)
    heard = {"noise_dbfs": -60.0, "dead": False, "heard": True, "round_trip_secs": 0.1, "echo_db": -6.0}
    assert "headset" in str(machine.judge_echo(AudioReading(-60.0, dead=False), chosen))
    assert machine.judge_echo(AudioReading(**heard, erle_db=30.0), chosen).status is Status.OK
    assert machine.judge_echo(AudioReading(**heard, erle_db=3.0), chosen).status is Status.WARN
    off = chosen.model_copy(update={"echo_cancel": False})
    assert "echo cancelling is off" in str(machine.judge_echo(AudioReading(**heard, erle_db=30.0), off))


@pytest.mark.parametrize("delay", [0, 37, 1600])
def test_a_delay_is_found_in_noise(delay):
    import numpy as np

    sound = StreamResampler(24_000, 16_000).process(chirp_and_hush()).astype(float)
    rng = np.random.default_rng(3)
    captured = np.concatenate([np.zeros(delay), sound])[: len(sound)] * 0.05 + rng.normal(0, 30, len(sound))
    assert find_delay(sound, captured, max_lag=8000) == (delay, True)
    assert not find_delay(sound, rng.normal(0, 30, len(sound)), max_lag=8000)[1]


def test_a_full_disk_and_a_locked_folder_are_told(tmp_path, monkeypatch):
    assert machine.check_disk(settings(tmp_path)).status is Status.OK
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 90_000_000}))
    assert "90 MB are free for sessions, 15 minutes" in str(machine.check_disk(settings(tmp_path)))
    (tmp_path / "file").write_text("")
    blocked = Settings(_env_file=None, session=tmp_path / "file" / "session")
    assert machine.check_disk(blocked).status is Status.FAIL


@pytest.mark.parametrize(("off", "status"), [(1.0, Status.OK), (-900.0, Status.FAIL)])
async def test_a_wrong_clock_is_told(monkeypatch, off, status):
    monkeypatch.setattr(machine, "_clock_difference", lambda: off)
    finding = await machine.check_clock()
    assert finding.status is status
    assert status is Status.OK or "15 min behind" in str(finding)


def test_an_old_python_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 1))
    assert machine.check_python().status is Status.FAIL


def test_what_fails_decides_the_verdict():
    choice = choose_backend(Backend.GOOGLE)
    fast = [Finding(Status.OK, "a", secs=0.3), Finding(Status.WARN, "b", secs=0.2)]
    assert "0.8 s after" in str(expect(choice, fast)) or "0.9 s after" in str(expect(choice, fast))
    assert expect(choice, [*fast, Finding(Status.FAIL, "c")]).status is Status.FAIL


def test_the_command_prints_a_line_each_and_ends_non_zero_when_talking_would_fail(no_google, tmp_path):
    out = io.StringIO()
    terminal = Terminal(Console(file=out, width=300))
    chosen = settings(tmp_path, user_audio=RECORDING, backend=Backend.GOOGLE)
    assert run_doctor(chosen, make_noise=False, terminal=terminal) == 1
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("ok    halfcascade ")
    assert lines[-1].startswith("fail  `talk` would use google, and fail")


def test_how_a_check_went_is_told_in_korean_too(monkeypatch):
    async def examine_nothing(settings, *, tell, **_):
        for status in Status:
            tell(Finding(status, "A"))
        return []

    use_language("ko-KR")
    monkeypatch.setattr("halfcascade.bot.doctor.examine", examine_nothing)
    out = io.StringIO()
    assert run_doctor(make_noise=False, terminal=Terminal(Console(file=out, width=300))) == 0
    assert out.getvalue().splitlines() == ["정상  A.", "주의  A.", "실패  A."]


def test_devices_are_printed(sound_card):  # noqa: F811
    out = io.StringIO()
    assert list_devices(Terminal(Console(file=out, width=300))) == 0
    assert "* VirtualMicrophone  (PulseAudio, 48000 Hz, 1 channel)" in out.getvalue()


def test_the_list_of_devices_shows_host_rate_channels_and_default():
    devices = [
        Device("MacBook Pro Microphone", "Core Audio", Direction.INPUT, 2, 48_000, default=True, index=3),
        Device("Jabra Link 380", "Core Audio", Direction.INPUT, 1, 48_000, default=False, index=4),
    ]

    def printed(devices: list[Device]) -> str:
        out = io.StringIO()
        print_devices(devices, Terminal(Console(file=out, width=300)))
        return out.getvalue()

    text = printed(devices)
    assert "  * MacBook Pro Microphone  (Core Audio, 48000 Hz, 2 channels)\n" in text
    assert "    Jabra Link 380  (Core Audio, 48000 Hz, 1 channel)\n" in text
    assert "Microphones (--input-device" in text
    assert printed([]).count("none") == 2
