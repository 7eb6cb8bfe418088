import os
import socket
from pathlib import Path

import pytest
from google import genai

from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.minds.base import Mind, MindError
from halfcascade.emulator.server import GoogleEmulator

SCENARIO = """
language = "ko-KR"
default_reply = "Pardon?"
utterances = ["hello", {text = "again", language = "en-GB", word_seconds = 0.2}]
replies = [{match = "hello", text = "Hi!"}]
speaker = {lead_silence = 0.05}
"""


def is_file(path: str) -> bool:
    return Path(path).is_file()


async def test_environment_and_ports_are_known_while_it_runs():
    google = GoogleEmulator()
    assert google.env == {}
    async with google:
        assert set(google.ports) == {"speech", "tts", "live", "http", "grpc_tls"}
        assert google.env["SPEECH_EMULATOR_HOST"] == f"127.0.0.1:{google.ports['speech']}"
        assert google.env["GOOGLE_GEMINI_BASE_URL"].startswith("https://127.0.0.1:")
        assert is_file(google.env["SSL_CERT_FILE"])
        bundle = google.env["SSL_CERT_FILE"]
    assert not is_file(bundle)
    for port in google.ports.values():
        with socket.socket() as free:
            assert free.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("api", ["speech", "tts", "live"])
async def test_a_port_in_use_is_one_line(api):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        google = GoogleEmulator(**{f"{api}_port": port})
        with pytest.raises(EmulatorError, match=f"cannot listen on 127.0.0.1:{port}"):
            await google.start()
        assert google.mind is None


async def test_two_emulators_cannot_share_a_port():
    async with GoogleEmulator() as google:
        with pytest.raises(EmulatorError):
            await GoogleEmulator(speech_port=google.ports["speech"]).start()


async def test_scenario_files_reach_the_minds(tmp_path):
    path = tmp_path / "scenario.toml"
    path.write_text(SCENARIO)
    async with GoogleEmulator(scenario=path) as google:
        assert google.mind.scenario.language_code == "ko-KR"
        assert [(item.text, item.language_code) for item in google.mind.scenario.utterances] == [
            ("hello", ""),
            ("again", "en-GB"),
        ]
        assert google.mind.speaker.plan("hello")[0].start == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.toml", "utterance = []", "unknown key 'utterance'"),
        ("a.toml", "[[utterances]]\nwords = 3", "malformed"),
        ("a.toml", "x = ", "not valid TOML"),
        ("a.json", "{", "not valid JSON"),
        ("a.json", '{"recordings": [{"audio": "none.wav", "words": []}]}', "none.wav cannot be read"),
        ("a.json", '{"recordings": [{"audio": "none.wav", "words": [{"word": 1}]}]}', "malformed"),
        ("a.json", '{"recordings": [{"index": "none.json"}]}', "none.json cannot be read"),
        ("a.json", '{"replies": [{"say": "hello"}]}', "unknown key 'say'"),
    ],
)
async def test_bad_scenarios_are_one_line(tmp_path, name, content, told):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(EmulatorError, match=told) as caught:
        await GoogleEmulator(scenario=path).start()
    assert "\n" not in str(caught.value)


async def test_missing_scenario_is_one_line(tmp_path):
    with pytest.raises(EmulatorError, match="cannot be read"):
        await GoogleEmulator(scenario=tmp_path / "none.toml").start()


class BrokenMind(Mind):
    closed = False

    async def start(self) -> None:
        raise MindError("The mind has gone: get another.")

    async def close(self) -> None:
        self.closed = True


async def test_a_mind_that_does_not_start_is_one_line_and_closed():
    mind = BrokenMind(None, None, None)
    with pytest.raises(EmulatorError, match="The mind has gone"):
        await GoogleEmulator(mind=mind).start()
    assert mind.closed


async def test_loopback_is_kept_from_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    async with GoogleEmulator() as google:
        assert "no_proxy" not in google.env
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "intra.example")
    async with GoogleEmulator() as google:
        assert google.env["no_proxy"] == "intra.example,127.0.0.1,localhost"


async def test_fixture_leads_googles_clients_here(google_emulator):
    assert os.environ["SPEECH_EMULATOR_HOST"] == google_emulator.env["SPEECH_EMULATOR_HOST"]
    client = genai.Client()
    config = {"response_modalities": ["AUDIO"], "output_audio_transcription": {}}
    async with client.aio.live.connect(model="gemini-3.8-live", config=config) as session:
        await session.send_client_content(turns={"role": "user", "parts": [{"text": "hello"}]}, turn_complete=True)
        said = ""
        async for message in session.receive():
            content = message.server_content
            if content and content.output_transcription:
                said += content.output_transcription.text or ""
    assert said == "You said: hello"


async def test_factory_starts_several(google_emulator_factory):
    one, other = await google_emulator_factory(), await google_emulator_factory(api_key="secret")
    assert not set(one.ports.values()) & set(other.ports.values())
    assert os.environ["GOOGLE_API_KEY"] == "secret"
