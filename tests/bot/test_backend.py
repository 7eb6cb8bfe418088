import pytest

from halfcascade.bot import backend
from halfcascade.bot.backend import BRAIN, EARS, VOICE, Emulator, check_google_access, choose_backend, deaf_to
from halfcascade.bot.doctor.talk import check_hearing
from halfcascade.bot.settings import Backend, Settings
from halfcascade.emulator.minds.local import packages
from halfcascade.processors.errors import ConfigurationError
from tests.bot.support import run_bot, user_audio

SERVERS = {
    "SPEECH_EMULATOR_HOST": "127.0.0.1:1",
    "TEXTTOSPEECH_EMULATOR_HOST": "127.0.0.1:2",
    "GOOGLE_GEMINI_BASE_URL": "https://127.0.0.1:3",
}


@pytest.mark.parametrize(
    ("variables", "cloud", "chosen", "words"),
    [
        ({}, False, Backend.EMULATOR, "no GOOGLE_API_KEY is set and no Google Cloud credentials were found"),
        ({"GOOGLE_API_KEY": "k"}, False, Backend.EMULATOR, "no Google Cloud credentials were found"),
        ({}, True, Backend.EMULATOR, "no GOOGLE_API_KEY is set"),
        ({"GOOGLE_API_KEY": "k"}, True, Backend.GOOGLE, "Google credentials were found"),
        ({"GEMINI_API_KEY": "k"}, True, Backend.GOOGLE, "Google credentials were found"),
        ({"GOOGLE_GENAI_USE_VERTEXAI": "true"}, True, Backend.GOOGLE, "Google credentials were found"),
        ({**SERVERS, "GOOGLE_API_KEY": "k"}, False, Backend.GOOGLE, "the environment names servers"),
        (SERVERS, False, Backend.EMULATOR, "no GOOGLE_API_KEY"),
    ],
)
def test_auto_takes_google_when_there_is_something_to_log_in_with_and_says_why(
    monkeypatch, variables, cloud, chosen, words
):
    monkeypatch.setattr(backend, "_has_cloud_credentials", lambda: cloud)
    choice = choose_backend(Backend.AUTO, variables)
    assert choice.backend is chosen
    assert words in choice.reason


@pytest.mark.parametrize(
    ("services", "variables", "cloud", "chosen"),
    [
        ({BRAIN}, {"GOOGLE_API_KEY": "k"}, False, Backend.GOOGLE),
        ({BRAIN}, {}, True, Backend.EMULATOR),
        ({EARS}, {}, True, Backend.GOOGLE),
        ({VOICE}, {"GOOGLE_API_KEY": "k"}, False, Backend.EMULATOR),
        ({VOICE}, {"TEXTTOSPEECH_EMULATOR_HOST": "127.0.0.1:2"}, False, Backend.GOOGLE),
        ({VOICE}, {"SPEECH_EMULATOR_HOST": "127.0.0.1:1"}, False, Backend.EMULATOR),
    ],
)
def test_one_service_alone_needs_its_own_credentials_only(monkeypatch, services, variables, cloud, chosen):
    monkeypatch.setattr(backend, "_has_cloud_credentials", lambda: cloud)
    assert choose_backend(Backend.AUTO, variables, frozenset(services)).backend is chosen


@pytest.mark.parametrize("wanted", [Backend.GOOGLE, Backend.EMULATOR])
def test_what_the_user_asks_for_is_taken_unseen(wanted):
    assert choose_backend(wanted, {}).backend is wanted


def test_google_without_a_key_is_refused_with_a_remedy(monkeypatch):
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", *SERVERS):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match=r"set GOOGLE_API_KEY.*--backend emulator"):
        check_google_access()


def test_servers_named_by_the_environment_need_a_key_only(monkeypatch):
    for name, value in {**SERVERS, "GOOGLE_API_KEY": "any"}.items():
        monkeypatch.setenv(name, value)
    check_google_access()
    monkeypatch.delenv("TEXTTOSPEECH_EMULATOR_HOST")
    check_google_access(frozenset({BRAIN, EARS}))


async def test_an_emulator_that_does_not_start_gives_its_own_last_line(tmp_path, monkeypatch):
    program = tmp_path / "stand_in"
    program.mkdir()
    (program / "__init__.py").touch()
    (program / "__main__.py").write_text("import sys\nprint('loading')\nprint('error: Port 1 is in use.')\nsys.exit(1)")
    monkeypatch.setattr(backend, "_PROGRAM", "stand_in")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"^Port 1 is in use\.$"):
        await Emulator(tmp_path).start()


async def test_the_death_of_the_emulator_is_told_with_its_cause(tmp_path, monkeypatch):
    program = tmp_path / "stand_in"
    program.mkdir()
    (program / "__init__.py").touch()
    (program / "__main__.py").write_text(
        "import json, os, signal, sys\n"
        "ready = sys.argv[sys.argv.index('--ready-file') + 1]\n"
        "with open(ready + '.new', 'w') as file:\n"
        "    json.dump({'environment': {'X': 'y'}}, file)\n"
        "os.rename(ready + '.new', ready)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    monkeypatch.setattr(backend, "_PROGRAM", "stand_in")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    emulator = Emulator(tmp_path)
    try:
        environment = await emulator.start()
    except ConfigurationError as error:  # it died before anybody looked
        assert "signal 9" in str(error)
        return
    assert environment == {"X": "y"}
    assert "signal 9" in await emulator.died()
    assert emulator.has_died
    await emulator.stop()


@pytest.mark.parametrize(
    ("languages", "named"),
    [
        (["en-US"], ""),
        (["ko-KR", "en-GB"], ""),
        (["auto"], ""),
        (["ko-KR"], "not ko-KR"),
        (["ja-JP", "fr-FR"], "not ja-JP, fr-FR"),
    ],
)
def test_what_the_stand_in_does_not_hear_is_said(languages, named):
    line = deaf_to(languages)
    assert bool(line) == bool(named)
    assert named in line and "\n" not in line
    assert ("pip install faster-whisper" in line) == ("ko-KR" in named)
    told = [str(finding) for finding in check_hearing(Settings(stt_languages=languages))]
    assert [named in finding and "--language en-US" in finding for finding in told] == [True] * bool(named)


def test_a_scripted_mind_hears_what_its_scenario_says(tmp_path):
    assert Emulator(tmp_path, mind="scripted").deaf_to(["ko-KR"]) == ""


def test_korean_is_heard_where_whisper_is_installed(monkeypatch):
    monkeypatch.setattr(packages, "has_whisper", lambda: True)
    assert deaf_to(["ko-KR"]) == ""
    assert deaf_to(["ja-JP"])


async def test_it_is_said_before_any_model_is_loaded(tmp_path):
    # Without its language model the stand-in ends at once, with a line of its own.
    user_audio(tmp_path / "user.wav", (0.0, "yes"))
    options = ("--backend", "emulator", "--language", "ko-KR", "--user-audio", "user.wav")
    run = await run_bot(tmp_path, *options, LC_ALL="C.UTF-8", HALFCASCADE_LLM_PATH="none.gguf")
    assert run.code == 1
    warning, end = run.output.find("ko-KR"), run.output.find("none.gguf")
    assert 0 <= warning < end, run.output
