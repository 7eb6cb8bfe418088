"""Adaptation with stored and named phrases, and who says what, in all versions."""

import asyncio
import importlib
import uuid
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import AlreadyExists, InvalidArgument, NotFound
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.emulator.server import GoogleEmulator
from halfcascade.emulator.speech.adaptation import spelled_v2
from tests.emulator.speech.test_server import RATE
from tests.emulator.test_generate import ask

V1 = ["v1", "v1p1beta1"]
PARENT = "projects/p/locations/global"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    import numpy as np
    import soundfile

    sound = np.random.default_rng(1).normal(0, 0.1, RATE * 2).astype(np.float32)
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    soundfile.write(path, sound, RATE, subtype="PCM_16")
    words = [
        {"word": "the", "start": 0.1, "end": 0.5, "speaker": 1},
        {"word": "fair", "start": 0.6, "end": 1.0, "speaker": 2, "sounds_like": ["fare", "phare"]},
    ]
    return {"audio": str(path), "words": words}


@pytest.fixture
async def google(google_emulator_factory: Any, recording: dict[str, Any]) -> GoogleEmulator:
    return await google_emulator_factory(scenario={"recordings": [recording]})


def sound_of(recording: dict[str, Any]) -> bytes:
    with open(recording["audio"], "rb") as file:  # noqa: PTH123 - a plain read
        return file.read()


def clients(google: GoogleEmulator, version: str) -> tuple[Any, Any, Any]:
    module = importlib.import_module(f"google.cloud.speech_{version}")
    channel = grpc.insecure_channel(google.env["SPEECH_EMULATOR_HOST"])

    def client(name: str, service: str) -> Any:
        transports = importlib.import_module(f"google.cloud.speech_{version}.services.{service}.transports")
        transport = getattr(transports, f"{name.removesuffix('Client')}GrpcTransport")(channel=channel)
        return getattr(module, name)(transport=transport)

    return module, client("SpeechClient", "speech"), client("AdaptationClient", "adaptation")


@pytest.mark.parametrize("version", V1)
async def test_stored_phrases_of_v1(google: GoogleEmulator, recording: dict[str, Any], version: str) -> None:
    def work() -> None:
        speech, client, adaptation = clients(google, version)

        def heard(**options: Any) -> str:
            config = speech.RecognitionConfig(
                encoding="LINEAR16", sample_rate_hertz=RATE, language_code="en-US", adaptation=options
            )
            answer = client.recognize(config=config, audio={"content": sound_of(recording)})
            return str(answer.results[0].alternatives[0].transcript)

        parent = f"{PARENT}-{version}"
        fares = adaptation.create_custom_class(
            parent=parent, custom_class_id="fares", custom_class={"items": [{"value": "ticket"}, {"value": "fare"}]}
        )
        phrases = [{"value": f"the ${{{fares.name}}}"}]
        stored = adaptation.create_phrase_set(parent=parent, phrase_set_id="one", phrase_set={"phrases": phrases})
        assert heard() == "the fair"
        assert heard(phrase_set_references=[stored.name]) == "the fare"
        assert heard(phrase_sets=[{"phrases": [{"value": "phare"}]}]) == "the phare"
        assert heard(phrase_sets=[{"phrases": [{"value": "in $TIME ${OOV_CLASS_DIGIT_SEQUENCE}"}]}]) == "the fair"
        assert [item.name for item in adaptation.list_phrase_set(parent=parent)] == [stored.name]
        stored.phrases = [{"value": "nothing"}]
        assert adaptation.update_phrase_set(phrase_set=stored).phrases[0].value == "nothing"
        assert heard(phrase_set_references=[stored.name]) == "the fair"
        with pytest.raises(AlreadyExists):
            adaptation.create_phrase_set(parent=parent, phrase_set_id="one", phrase_set={})
        with pytest.raises(InvalidArgument):
            adaptation.create_phrase_set(parent=parent, phrase_set_id="no/slash", phrase_set={})
        adaptation.delete_phrase_set(name=stored.name)
        for missing in (
            lambda: adaptation.get_phrase_set(name=stored.name),
            lambda: heard(phrase_set_references=[stored.name]),
            lambda: heard(phrase_sets=[{"phrases": [{"value": "${projects/p/locations/global/customClasses/no}"}]}]),
        ):
            with pytest.raises(NotFound):
                missing()
        assert adaptation.get_custom_class(name=fares.name).items[1].value == "fare"

    await asyncio.to_thread(work)


async def test_adaptation_over_http(google: GoogleEmulator) -> None:
    path = f"/v1/{PARENT}/customClasses"
    status, text = await ask(
        google, f"{path}?key=k", {"customClassId": "a", "customClass": {"items": [{"value": "x"}]}}
    )
    assert status == 200, text
    status, text = await ask(google, f"{path}/a?key=k")
    assert (status, '"x"' in text) == (200, True)


async def test_stored_phrases_of_v2(google: GoogleEmulator, recording: dict[str, Any]) -> None:
    def work() -> None:
        speech = importlib.import_module("google.cloud.speech_v2")
        transports = importlib.import_module("google.cloud.speech_v2.services.speech.transports")
        channel = grpc.insecure_channel(google.env["SPEECH_EMULATOR_HOST"])
        client = speech.SpeechClient(transport=transports.SpeechGrpcTransport(channel=channel))

        def heard(*phrase_sets: dict[str, Any], **options: Any) -> str:
            adaptation = {"phrase_sets": list(phrase_sets), **options}
            config = {
                "auto_decoding_config": {},
                "model": "long",
                "language_codes": ["en-US"],
                "adaptation": adaptation,
            }
            request = {"recognizer": f"{PARENT}/recognizers/_", "config": config, "content": sound_of(recording)}
            return str(client.recognize(request).results[0].alternatives[0].transcript)

        identity = f"c{uuid.uuid4().hex[:6]}"
        made = client.create_custom_class(
            parent=PARENT, custom_class_id=identity, custom_class={"items": [{"value": "fare"}]}
        ).result(30)
        stored = client.create_phrase_set(
            parent=PARENT, phrase_set_id=identity, phrase_set={"phrases": [{"value": f"${{{made.name}}}"}]}
        ).result(30)
        assert heard({"phrase_set": stored.name}) == "the fare"
        inline = {"inline_phrase_set": {"phrases": [{"value": "a ${spelling}"}]}}
        assert heard(inline, custom_classes=[{"name": "spelling", "items": [{"value": "phare"}]}]) == "the phare"
        with pytest.raises(NotFound):
            heard({"phrase_set": f"{PARENT}/phraseSets/none"})

    await asyncio.to_thread(work)


@pytest.mark.parametrize("version", V1)
async def test_who_says_what(google: GoogleEmulator, recording: dict[str, Any], version: str) -> None:
    def work() -> list[tuple[str, int]]:
        speech, client, _ = clients(google, version)
        config = speech.RecognitionConfig(
            encoding="LINEAR16",
            sample_rate_hertz=RATE,
            language_code="en-US",
            diarization_config={"enable_speaker_diarization": True},
        )
        answer = client.recognize(config=config, audio={"content": sound_of(recording)})
        return [(word.word, word.speaker_tag) for word in answer.results[-1].alternatives[0].words]

    assert await asyncio.to_thread(work) == [("the", 1), ("fair", 2)]


async def test_what_chirp_detects_has_no_region(google: GoogleEmulator, recording: dict[str, Any]) -> None:
    def work(model: str, location: str) -> str:
        speech = importlib.import_module("google.cloud.speech_v2")
        transports = importlib.import_module("google.cloud.speech_v2.services.speech.transports")
        channel = grpc.insecure_channel(google.env["SPEECH_EMULATOR_HOST"])
        client = speech.SpeechClient(transport=transports.SpeechGrpcTransport(channel=channel))
        config = {"auto_decoding_config": {}, "model": model, "language_codes": ["auto"]}
        name = f"projects/p/locations/{location}/recognizers/_"
        answer = client.recognize({"recognizer": name, "config": config, "content": sound_of(recording)})
        return str(answer.results[0].language_code)

    assert await asyncio.to_thread(work, "chirp", "us-central1") == "en"
    assert await asyncio.to_thread(work, "chirp_3", "us") == "en-US"


@given(st.lists(st.text("${}ab/ ", max_size=12), max_size=5), st.lists(st.text("ab$ {", max_size=4), max_size=3))
@settings(max_examples=60)
def test_any_phrases_are_spelled_out(phrases: list[str], items: list[str]) -> None:
    speech = importlib.import_module("google.cloud.speech_v2")
    entry = {"inline_phrase_set": {"phrases": [{"value": phrase} for phrase in phrases]}}
    classes = [{"name": "a", "items": [{"value": item} for item in items]}]
    adaptation = {"phrase_sets": [entry], "custom_classes": classes}
    config = speech.RecognitionConfig(adaptation=adaptation, model="long")._pb

    def find(name: str) -> Any:
        return speech.CustomClass()._pb

    spelled = spelled_v2(config, find, find)
    assert spelled.model == "long"
    assert len(spelled.adaptation.phrase_sets) == 1
