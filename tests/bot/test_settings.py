import pytest
from pydantic import ValidationError

from halfcascade.bot.settings import Backend, Settings


def test_lists_come_from_the_environment_separated_by_commas(monkeypatch):
    monkeypatch.setenv("HALFCASCADE_STT_LANGUAGES", "ko-KR, en-US")
    monkeypatch.setenv("HALFCASCADE_BACKEND", "emulator")
    settings = Settings(_env_file=None)
    assert settings.listen_for == ["ko-KR", "en-US"]
    assert settings.backend is Backend.EMULATOR


def test_arguments_win_over_the_environment(monkeypatch):
    monkeypatch.setenv("HALFCASCADE_LANGUAGE", "ja-JP")
    assert Settings(_env_file=None, language="ko-KR").language == "ko-KR"


@pytest.mark.parametrize(
    ("language", "voice", "name"),
    [
        ("ko-KR", "Kore", "ko-KR-Chirp3-HD-Kore"),
        ("ko-KR", "en-US-Chirp3-HD-Puck", "en-US-Chirp3-HD-Puck"),
    ],
)
def test_a_short_voice_name_takes_the_locale(language, voice, name):
    assert Settings(_env_file=None, language=language, voice=voice).voice_name == name


def test_ears_listen_for_the_language_unless_told_otherwise():
    assert Settings(_env_file=None, language="ko-KR").listen_for == ["ko-KR"]
    assert Settings(_env_file=None, stt_languages=["auto"]).listen_for == ["auto"]


def test_a_speaking_rate_google_refuses_is_refused_here():
    with pytest.raises(ValidationError, match="less than or equal to 2"):
        Settings(_env_file=None, speaking_rate=3.0)
