"""What the services' probes find, over the wires: what a talk would meet."""

import asyncio

import pytest
from pipecat.processors.aggregators.llm_context import LLMContext

from halfcascade.emulator.faults import Fault
from halfcascade.processors.chirp_tts import ChirpTTSService
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.gemini_live import GeminiLiveTextProcessor, builtin_tools
from halfcascade.processors.google_stt import GoogleStreamingSTTService

SERVICES = {
    "speech": GoogleStreamingSTTService,
    "tts": ChirpTTSService,
    "live": lambda: GeminiLiveTextProcessor(context=LLMContext(tools=builtin_tools())),
}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_that_works_says_what_it_would_use(google_emulator, service):
    found = await SERVICES[service]().probe()
    assert found.secs > 0
    assert {"speech": "chirp_3 in us", "tts": "Charon", "live": "gemini-3.8-live speaks"}[service] in found.line


@pytest.mark.parametrize(
    "proxies",
    [
        {"ALL_PROXY": "socks5://127.0.0.1:9"},
        {"all_proxy": "socks5h://127.0.0.1:9"},
        dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy", "HTTPS_PROXY", "HTTP_PROXY"), "http://127.0.0.1:9"),
    ],
    ids=["ALL_PROXY", "all_proxy", "http"],
)
async def test_no_proxy_leads_to_servers_of_this_machine(google_emulator, monkeypatch, proxies):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in proxies.items():
        monkeypatch.setenv(name, value)
    for service in SERVICES.values():
        assert (await service().probe()).secs > 0


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("speech", "error", code="PERMISSION_DENIED", times=-1), "gcloud services enable speech.googleapis.com"),
        (Fault("speech", "error", code="RESOURCE_EXHAUSTED", times=-1), "quota"),
        (Fault("speech", "error", code="UNAUTHENTICATED", times=-1), "gcloud auth application-default login"),
        (
            Fault("tts", "error", code="PERMISSION_DENIED", times=-1),
            "gcloud services enable texttospeech.googleapis.com",
        ),
        (Fault("tts", "error", code="UNAVAILABLE", times=-1), "cannot be reached"),
    ],
    ids=lambda value: f"{value.api}-{value.code}" if isinstance(value, Fault) else "",
)
async def test_a_refusal_is_one_line(google_emulator_factory, fault, words):
    await google_emulator_factory(faults=[fault])
    with pytest.raises(ConfigurationError, match=words):
        await SERVICES[fault.api]().probe()


@pytest.mark.parametrize("service", ["speech", "tts"])
async def test_a_mute_service_is_not_waited_for(google_emulator_factory, service):
    await google_emulator_factory(faults=[Fault(service, "mute")])
    async with asyncio.timeout(10):
        with pytest.raises(ConfigurationError, match="does not answer"):
            await SERVICES[service]().probe(0.5)


async def test_a_mute_brain_is_not_waited_for(google_emulator_factory):
    scenario = {"replies": [{"text": "Too late.", "first_token": 30.0}]}
    await google_emulator_factory(scenario=scenario)
    async with asyncio.timeout(20):
        with pytest.raises(ConfigurationError, match="does not answer"):
            await SERVICES["live"]().probe(3.0)


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (lambda: GoogleStreamingSTTService(settings=GoogleStreamingSTTService.Settings(languages=["xx-YY"])), "xx-YY"),
        (lambda: GeminiLiveTextProcessor(settings=GeminiLiveTextProcessor.Settings(model="gemini-1-nope")), "nope"),
    ],
    ids=["language", "model"],
)
async def test_what_the_talk_would_be_refused_is_refused_before(google_emulator, service, words):
    with pytest.raises(ConfigurationError, match=words):
        await service().probe()
