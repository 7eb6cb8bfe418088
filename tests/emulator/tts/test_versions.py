"""All versions and transports of Text-to-Speech, with Google's own clients."""

import asyncio
import importlib
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import InvalidArgument
from google.auth.credentials import AnonymousCredentials

from halfcascade.emulator.server import GoogleEmulator

VERSIONS = ["v1", "v1beta1"]
VOICE = "en-US-Chirp3-HD-Kore"


def client(google: GoogleEmulator, version: str, kind: str = "TextToSpeech") -> tuple[Any, Any]:
    module: Any = importlib.import_module(f"google.cloud.texttospeech_{version}")
    package = "text_to_speech" if kind == "TextToSpeech" else "text_to_speech_long_audio_synthesize"
    transports: Any = importlib.import_module(f"google.cloud.texttospeech_{version}.services.{package}.transports")
    channel = grpc.insecure_channel(google.env["TEXTTOSPEECH_EMULATOR_HOST"])
    transport = getattr(transports, f"{kind}GrpcTransport")(channel=channel)
    return getattr(module, f"{kind}Client")(transport=transport), module


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_method(google_emulator: GoogleEmulator, version: str) -> None:
    speaking, tts = client(google_emulator, version)

    def work() -> None:
        assert len(speaking.list_voices(language_code="ko-KR").voices) == 38
        voice = tts.VoiceSelectionParams(language_code="en-US", name=VOICE)
        answer = speaking.synthesize_speech(
            input=tts.SynthesisInput(text="Hello."), voice=voice, audio_config=tts.AudioConfig(audio_encoding="MP3")
        )
        assert len(answer.audio_content) > 1_000
        settings = tts.StreamingSynthesizeConfig(voice=voice)
        requests = [
            tts.StreamingSynthesizeRequest(streaming_config=settings),
            tts.StreamingSynthesizeRequest(input=tts.StreamingSynthesisInput(text="Hello there.")),
        ]
        assert sum(len(item.audio_content) for item in speaking.streaming_synthesize(iter(requests))) > 20_000

    await asyncio.to_thread(work)


async def test_times_of_marks(google_emulator: GoogleEmulator) -> None:
    speaking, tts = client(google_emulator, "v1beta1")
    request = tts.SynthesizeSpeechRequest(
        input=tts.SynthesisInput(ssml='<speak>One <mark name="a"/>two<break time="1s"/><mark name="b"/>.</speak>'),
        voice=tts.VoiceSelectionParams(language_code="en-US", name="en-US-Wavenet-D"),
        audio_config=tts.AudioConfig(audio_encoding="LINEAR16"),
        enable_time_pointing=["SSML_MARK"],
    )
    answer = await asyncio.to_thread(speaking.synthesize_speech, request)
    first, second = answer.timepoints
    assert (first.mark_name, second.mark_name) == ("a", "b")
    assert 0 < first.time_seconds < second.time_seconds - 1.0


async def test_gemini_voices_take_prompts_and_several_speakers(google_emulator: GoogleEmulator) -> None:
    speaking, tts = client(google_emulator, "v1")
    audio = tts.AudioConfig(audio_encoding="LINEAR16")
    one = tts.VoiceSelectionParams(language_code="en-US", name="Kore", model_name="gemini-2.5-flash-tts")
    speakers = [{"speaker_alias": "A", "speaker_id": "Kore"}, {"speaker_alias": "B", "speaker_id": "Puck"}]
    many = tts.VoiceSelectionParams(
        language_code="en-US",
        model_name="gemini-2.5-flash-tts",
        multi_speaker_voice_config={"speaker_voice_configs": speakers},
    )

    def turns(*who: str) -> Any:
        said = [tts.MultiSpeakerMarkup.Turn(speaker=name, text="Hello.") for name in who]
        return tts.SynthesisInput(multi_speaker_markup=tts.MultiSpeakerMarkup(turns=said))

    def say(source: Any, voice: Any) -> bytes:
        content: bytes = speaking.synthesize_speech(input=source, voice=voice, audio_config=audio).audio_content
        return content

    def work() -> None:
        happy = tts.SynthesisInput(text="Hello.", prompt="Say it happily")
        assert say(happy, one)
        assert say(turns("A", "B"), many)[44:] != say(turns("A", "A"), many)[44:]
        with pytest.raises(InvalidArgument, match="Speaker 'C' has no voice"):
            say(turns("A", "C"), many)
        plain = tts.VoiceSelectionParams(language_code="en-US", name=VOICE)
        with pytest.raises(InvalidArgument, match="only supported for Gemini TTS"):
            say(happy, plain)

    await asyncio.to_thread(work)


async def test_long_audio_goes_to_a_bucket(google_emulator_factory: Any, tmp_path: Path) -> None:
    google = await google_emulator_factory(buckets=tmp_path)
    speaking, tts = client(google, "v1", "TextToSpeechLongAudioSynthesize")
    request = tts.SynthesizeLongAudioRequest(
        parent="projects/p/locations/us-central1",
        input=tts.SynthesisInput(text="Hello there. " * 30),
        voice=tts.VoiceSelectionParams(language_code="en-US", name="en-US-Standard-A"),
        audio_config=tts.AudioConfig(audio_encoding="LINEAR16"),
        output_gcs_uri="gs://b/long.wav",
    )
    operation = await asyncio.to_thread(speaking.synthesize_long_audio, request)
    await asyncio.to_thread(operation.result, timeout=60)
    assert (tmp_path / "b" / "long.wav").stat().st_size > 500_000


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_rest_transport(
    google_emulator: GoogleEmulator, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    tts: Any = importlib.import_module(f"google.cloud.texttospeech_{version}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", google_emulator.env["SSL_CERT_FILE"])
    options = ClientOptions(api_endpoint=google_emulator.env["GOOGLE_GEMINI_BASE_URL"].removeprefix("https://"))
    speaking = tts.TextToSpeechClient(transport="rest", credentials=AnonymousCredentials(), client_options=options)

    def work() -> None:
        assert len(speaking.list_voices(language_code="ja-JP").voices) == 38
        answer = speaking.synthesize_speech(
            input=tts.SynthesisInput(text="Hello."),
            voice=tts.VoiceSelectionParams(language_code="en-US", name=VOICE),
            audio_config=tts.AudioConfig(audio_encoding="OGG_OPUS"),
        )
        assert answer.audio_content.startswith(b"OggS")

    await asyncio.to_thread(work)
