"""Credentials that are named but cannot be used: a failure with Google's own reason wherever they are asked for."""

import asyncio
import json
import os

import pytest

from halfcascade.bot.backend import check_google_access, choose_backend
from halfcascade.bot.doctor.talk import check_credentials
from halfcascade.bot.settings import Backend
from halfcascade.processors.credentials import NoCredentialsError, find_credentials
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.google_clients import gemini_client
from tests.bot.support import DATA, run_bot

KEY = {"type": "service_account", "project_id": "p", "client_email": "a@b.c", "token_uri": "https://t"}
BROKEN = {
    "empty": b"",
    "no json": b"{private-key-7",
    "no text": b"\xff\xfe\x00private-key-7",
    "a list": b'["private-key-7"]',
    "a number": b"7",
    "no type": b"{}",
    "an odd type": b'{"type": "odd"}',
    "half a key": json.dumps(KEY).encode(),
    "a broken key": json.dumps({**KEY, "private_key": "private-key-7"}).encode(),
    "a login without a token": b'{"type": "authorized_user"}',
}


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine without any Google access but an API key."""
    for name in list(os.environ):
        if name.startswith(("GOOGLE_", "GEMINI_", "SPEECH_EMULATOR_", "TEXTTOSPEECH_EMULATOR_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("GOOGLE_API_KEY", "any")
    return monkeypatch


def refused_everywhere(line: str) -> str:
    """Whoever asks is told the same."""
    for ask in (find_credentials, check_google_access, lambda: choose_backend(Backend.AUTO)):
        with pytest.raises(ConfigurationError) as caught:
            ask()
        assert not isinstance(caught.value, NoCredentialsError)
        told = str(caught.value)
        assert line in told and "\n" not in told and "private-key-7" not in told, told
    with pytest.raises(ConfigurationError) as caught:
        asyncio.run(check_credentials(choose_backend(Backend.GOOGLE)))
    assert str(caught.value) == told
    return told


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_refused_with_its_reason(machine, tmp_path, kind):
    path = tmp_path / "key.json"
    path.write_bytes(BROKEN[kind])
    machine.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    told = refused_everywhere("GOOGLE_APPLICATION_CREDENTIALS names cannot be used (")
    assert "name another, or unset it." in told


def test_googles_own_words_are_told(machine, tmp_path):
    machine.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    refused_everywhere(f"(File {tmp_path / 'missing.json'} was not found)")


def test_a_key_in_place_of_a_file_is_refused_unseen(machine):
    machine.setenv("GOOGLE_APPLICATION_CREDENTIALS", json.dumps({**KEY, "private_key": "private-key-7"}))
    refused_everywhere("name the file")


def test_a_folder_is_refused(machine, tmp_path):
    machine.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path))
    refused_everywhere(str(tmp_path))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(machine, tmp_path):
    path = tmp_path / "key.json"
    path.write_text("{}")
    path.chmod(0)
    machine.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    refused_everywhere("Permission denied")


def test_an_unreadable_file_is_refused_also_where_nobody_may_be_locked_out(machine, tmp_path):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    machine.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    machine.setattr("halfcascade.processors.credentials.default_credentials", refuse)
    refused_everywhere("Permission denied")


def test_a_broken_login_of_gcloud_is_refused_too(machine, tmp_path):
    (tmp_path / "gcloud").mkdir()
    (tmp_path / "gcloud" / "application_default_credentials.json").write_text("{}")
    assert "gcloud auth application-default login" in refused_everywhere("The credentials of gcloud's login cannot")


def test_none_at_all_are_no_failure_of_auto(machine):
    with pytest.raises(NoCredentialsError, match="gcloud auth application-default login"):
        find_credentials()
    assert choose_backend(Backend.AUTO).backend is Backend.EMULATOR


def test_vertex_is_refused_with_the_same_reason(machine, tmp_path):
    machine.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    machine.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(ConfigurationError, match="was not found"):
        gemini_client()


async def test_a_talk_does_not_take_the_emulator_instead(tmp_path):
    recording = DATA.parents[1] / "bot" / "assets" / "demo_user.wav"
    broken = {"GOOGLE_APPLICATION_CREDENTIALS": "missing.json", "GOOGLE_API_KEY": "k"}
    run = await run_bot(tmp_path, "--user-audio", str(recording), **broken)
    assert "missing.json" in run.error
    assert "emulator" not in run.output
