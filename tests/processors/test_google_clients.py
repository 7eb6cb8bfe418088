import os
import sys
from pathlib import Path

import certifi
import pytest
from google.auth.exceptions import DefaultCredentialsError

from halfcascade.processors import credentials, google_clients
from halfcascade.processors.errors import ConfigurationError

GOOGLE_NAMES = (
    "SPEECH_EMULATOR_HOST",
    "TEXTTOSPEECH_EMULATOR_HOST",
    "GOOGLE_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "GOOGLE_GENAI_USE_ENTERPRISE",
)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in GOOGLE_NAMES:
        monkeypatch.delenv(name, raising=False)


def no_credentials(**kwargs):
    raise DefaultCredentialsError("none here")


async def test_an_emulator_needs_no_credentials(monkeypatch):
    monkeypatch.setenv("SPEECH_EMULATOR_HOST", "127.0.0.1:1")
    monkeypatch.setattr(credentials, "default_credentials", no_credentials)
    client, project = google_clients.speech_client("us")
    assert project == "emulator"
    await client.transport.close()


async def test_missing_credentials_are_one_line_with_the_remedy(monkeypatch):
    monkeypatch.setattr(credentials, "default_credentials", no_credentials)
    for make in (google_clients.speech_client, google_clients.texttospeech_client):
        with pytest.raises(ConfigurationError, match="gcloud auth application-default login") as caught:
            make()
        assert "\n" not in str(caught.value)


async def test_credentials_without_a_project_are_named(monkeypatch):
    monkeypatch.setattr(credentials, "default_credentials", lambda **kwargs: (object(), None))
    with pytest.raises(ConfigurationError, match="GOOGLE_CLOUD_PROJECT"):
        google_clients.speech_client()


def test_missing_gemini_access_is_one_line_with_the_remedy(monkeypatch):
    with pytest.raises(ConfigurationError, match="GOOGLE_API_KEY"):
        google_clients.gemini_client()


@pytest.mark.parametrize(
    ("location", "host"), [("global", "speech.googleapis.com"), ("us", "us-speech.googleapis.com")]
)
async def test_host_and_location_agree(monkeypatch, location, host):
    monkeypatch.setattr(
        credentials,
        "default_credentials",
        lambda **kwargs: (google_clients.AnonymousCredentials(), "my-project"),
    )
    client, project = google_clients.speech_client(location)
    assert client.transport.host == f"{host}:443"
    assert project == "my-project"
    await client.transport.close()


def test_clients_of_one_process_share_what_they_trust_and_notice_another_authority(tmp_path):
    authority = tmp_path / "ca.pem"
    environ = {"GOOGLE_API_KEY": "k", "SSL_CERT_FILE": str(authority)}
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        google_clients.gemini_client(environ)
    authority.write_bytes(Path(certifi.where()).read_bytes())

    def context(environ):
        options = google_clients.gemini_client(environ)._api_client._http_options
        assert options.client_args["verify"] is options.async_client_args["ssl"]
        return options.async_client_args["ssl"]

    first = context(environ)
    assert context(environ) is first
    assert context({"GOOGLE_API_KEY": "other"}) is context({"GOOGLE_API_KEY": "k"}) is not first
    os.utime(authority, ns=(1, 1))
    assert context(environ) is not first


def test_a_socks_proxy_without_its_package_is_one_line(monkeypatch):
    monkeypatch.setenv("GOOGLE_API_KEY", "some-key")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(ConfigurationError, match="SOCKS proxy"):
        google_clients.gemini_client()
