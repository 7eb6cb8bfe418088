"""What somebody new gets wrong, each told in a line with its remedy, before anything is loaded for it."""

import pytest

from halfcascade.bot.settings import Settings
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
