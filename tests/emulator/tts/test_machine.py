import grpc
import pytest
from google.cloud.texttospeech_v1.types import cloud_tts as tts

from halfcascade.emulator.actions import Abort, Begin, End, Feed, Finish, Send
from halfcascade.emulator.limits import TtsLimits
from halfcascade.emulator.minds.base import SPEAKER_RATE, SynthesisRequest
from halfcascade.emulator.tts.machine import IDLE_TEXT, SynthesizeStream
from tests.emulator.tts.requests import VOICE, config_request, markup_request, text_request

REQUEST = SynthesisRequest(VOICE, "en-US", 1.0)


def opened(*, now=0.0, **audio) -> SynthesizeStream:
    machine = SynthesizeStream(now, TtsLimits(), 0.24, tts.StreamingSynthesizeResponse.pb())
    assert machine.receive(config_request(**audio)._pb, now) == []
    return machine


def refusal(*requests) -> Abort:
    machine = SynthesizeStream(0.0, TtsLimits(), 0.24, tts.StreamingSynthesizeResponse.pb())
    for request in requests[:-1]:
        machine.receive(request._pb, 0.0)
    (abort,) = machine.receive(requests[-1]._pb, 0.0)
    assert isinstance(abort, Abort)
    assert machine.deadline is None
    assert machine.receive(text_request("Hello.")._pb, 0.1) == []
    return abort


def audio_bytes(actions) -> list[int]:
    return [len(action.message.audio_content) for action in actions if isinstance(action, Send)]


def test_texts_are_fed_in_order_and_half_close_finishes():
    machine = opened()
    assert machine.receive(text_request("Hello.")._pb, 0.0) == [Begin(REQUEST), Feed("Hello.")]
    assert machine.receive(text_request("World.")._pb, 0.1) == [Feed("World.")]
    assert machine.half_close(0.2) == [Finish()]
    assert machine.speaker_done(0.3) == [End()]


def test_half_close_without_input_ends_the_stream():
    assert opened().half_close(0.1) == [End()]


def test_audio_is_sent_in_chunks_of_240_ms():
    machine = opened()
    machine.receive(text_request("Hello.")._pb, 0.0)
    assert audio_bytes(machine.spoken(bytes(2 * SPEAKER_RATE), 0.1)) == [11_520] * 4 + [1_920]


def test_input_before_the_config_is_refused():
    assert refusal(text_request("Hello.")).code == grpc.StatusCode.INVALID_ARGUMENT


def test_second_config_is_refused():
    assert refusal(config_request(), config_request()).code == grpc.StatusCode.INVALID_ARGUMENT


def test_stream_without_input_for_five_seconds_is_aborted_verbatim():
    machine = opened(now=10.0)
    assert machine.deadline == 15.0
    machine.receive(text_request("Hello.")._pb, 14.0)
    assert machine.tick(18.9) == []
    assert machine.tick(19.0) == [Abort(grpc.StatusCode.ABORTED, IDLE_TEXT)]
    assert IDLE_TEXT == (
        "Stream aborted due to long duration elapsed without input sent. "
        "Input must be sent continuously, at least every 5s seconds."
    )
    assert machine.spoken(bytes(100), 19.1) == []


def test_half_close_ends_the_inactivity_limit():
    machine = opened()
    machine.receive(text_request("A long story.")._pb, 0.0)
    machine.half_close(0.1)
    assert machine.deadline is None
    assert machine.tick(60.0) == []


@pytest.mark.parametrize(
    "voice", ["en-US-Standard-A", "en-US-Neural2-C", "en-US-Journey-F", "", "Charon", "en-US-Chirp-HD-F"]
)
def test_only_chirp_3_hd_streams(voice):
    assert refusal(config_request(voice)) == Abort(
        grpc.StatusCode.INVALID_ARGUMENT,
        "Currently, only Chirp 3: HD voices are supported for streaming synthesis.",
    )


@pytest.mark.parametrize("voice", ["en-US-Chirp3-HD-Nobody", "xx-XX-Chirp3-HD-Kore"])
def test_unknown_voice_is_refused(voice):
    abort = refusal(config_request(voice, voice[:5]))
    assert abort == Abort(grpc.StatusCode.INVALID_ARGUMENT, f"Voice '{voice}' does not exist. Is it misspelled?")


def test_voice_of_another_locale_is_refused():
    abort = refusal(config_request("ko-KR-Chirp3-HD-Kore", "en-US"))
    assert abort.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "'en-US' doesn't match the voice 'ko-KR-Chirp3-HD-Kore''s language code 'ko-KR'" in abort.text


def test_custom_voice_key_is_accepted():
    request = tts.StreamingSynthesizeRequest(
        streaming_config=tts.StreamingSynthesizeConfig(
            voice=tts.VoiceSelectionParams(
                language_code="en-GB", voice_clone=tts.VoiceCloneParams(voice_cloning_key="key")
            )
        )
    )
    machine = SynthesizeStream(0.0, TtsLimits(), 0.24, tts.StreamingSynthesizeResponse.pb())
    assert machine.receive(request._pb, 0.0) == []
    begin, _ = machine.receive(text_request("Hello.")._pb, 0.0)
    assert begin.request.language_code == "en-GB"
    request.streaming_config.voice.voice_clone.voice_cloning_key = ""
    assert refusal(request).code == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("encoding", ["LINEAR16", "MP3", "M4A"])
def test_encodings_that_do_not_stream_are_refused(encoding):
    abort = refusal(config_request(audio_encoding=encoding))
    assert abort.code == grpc.StatusCode.INVALID_ARGUMENT
    assert encoding in abort.text


@pytest.mark.parametrize(
    ("encoding", "rate", "size"),
    [("PCM", 0, 48_000), ("PCM", 16_000, 32_000), ("MULAW", 8_000, 8_000), ("ALAW", 24_000, 24_000)],
)
def test_encodings_and_rates_that_stream(encoding, rate, size):
    machine = opened(audio_encoding=encoding, sample_rate_hertz=rate)
    machine.receive(text_request("Hello.")._pb, 0.0)
    sent = audio_bytes(machine.spoken(bytes(2 * SPEAKER_RATE), 0.1))
    machine.half_close(0.1)
    sent += audio_bytes(machine.speaker_done(0.2))
    assert sum(sent) == pytest.approx(size, abs=4)


def test_ogg_opus_streams_whole_pages():
    machine = opened(audio_encoding="OGG_OPUS")
    machine.receive(text_request("Hello.")._pb, 0.0)
    machine.half_close(0.0)
    actions = machine.spoken(bytes(2 * SPEAKER_RATE * 3), 0.1) + machine.speaker_done(0.2)
    pages = [action.message.audio_content for action in actions if isinstance(action, Send)]
    assert len(pages) > 2
    assert all(page.startswith(b"OggS") for page in pages)


@pytest.mark.parametrize("rate", [7_999, 96_000])
def test_sample_rate_out_of_range_is_refused(rate):
    assert refusal(config_request(audio_encoding="PCM", sample_rate_hertz=rate))


@pytest.mark.parametrize("rate", [0.2, 2.1])
def test_speaking_rate_out_of_range_is_refused(rate):
    assert refusal(config_request(speaking_rate=rate)).code == grpc.StatusCode.INVALID_ARGUMENT


def test_speaking_rate_reaches_the_speaker():
    begin, _ = opened(speaking_rate=1.5).receive(text_request("Hello.")._pb, 0.0)
    assert begin == Begin(SynthesisRequest(VOICE, "en-US", 1.5))


def test_input_of_5000_bytes_is_taken_and_one_more_refused():
    machine = opened()
    assert machine.receive(text_request("x" * 5_000)._pb, 0.0)[-1] == Feed("x" * 5_000)
    # Korean has three bytes a syllable.
    (abort,) = machine.receive(text_request("가" * 1_667)._pb, 0.1)
    assert abort.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "longer than the limit of 5000 bytes" in abort.text


def test_many_inputs_may_be_longer_together():
    machine = opened()
    for _ in range(4):
        assert machine.receive(text_request("x" * 4_000)._pb, 0.0)[-1] == Feed("x" * 4_000)


def test_inputs_of_other_models_are_refused():
    prompt = tts.StreamingSynthesizeRequest(input=tts.StreamingSynthesisInput(text="Hello.", prompt="Be cheerful"))
    assert "Gemini" in refusal(config_request(), prompt).text
    speakers = tts.MultiSpeakerMarkup(turns=[tts.MultiSpeakerMarkup.Turn(speaker="A", text="Hello.")])
    multi = tts.StreamingSynthesizeRequest(input=tts.StreamingSynthesisInput(multi_speaker_markup=speakers))
    assert "Gemini" in refusal(config_request(), multi).text


def pronunciations(*entries: dict) -> tts.CustomPronunciations:
    return tts.CustomPronunciations(pronunciations=[tts.CustomPronunciationParams(**entry) for entry in entries])


def test_custom_pronunciations_are_checked():
    good = {"phrase": "Pipecat", "phonetic_encoding": "PHONETIC_ENCODING_IPA", "pronunciation": "ˈpaɪpkæt"}
    machine = SynthesizeStream(0.0, TtsLimits(), 0.24, tts.StreamingSynthesizeResponse.pb())
    assert machine.receive(config_request(custom_pronunciations=pronunciations(good))._pb, 0.0) == []
    for bad in ({**good, "phrase": ""}, {**good, "pronunciation": ""}, {**good, "phonetic_encoding": 0}):
        assert refusal(config_request(custom_pronunciations=pronunciations(bad)))
    assert refusal(config_request(custom_pronunciations=pronunciations(good, good)))


def test_pause_tags_of_markup_become_silence_between_what_is_spoken():
    machine = opened()
    actions = machine.receive(markup_request("One. [pause long] Two.")._pb, 0.0)
    assert actions == [Begin(REQUEST), Feed("One. "), Finish()]
    # More input waits until the pause has been made.
    assert machine.receive(text_request("Three.")._pb, 0.1) == []
    assert machine.half_close(0.1) == []
    actions = machine.speaker_done(0.2)
    assert sum(audio_bytes(actions)) == 2 * SPEAKER_RATE
    rest = [action for action in actions if not isinstance(action, Send)]
    assert rest == [Begin(REQUEST), Feed(" Two."), Feed("Three."), Finish()]
    assert machine.speaker_done(0.3) == [End()]


def test_pause_lengths_grow():
    lengths = []
    for tag in ("[pause short]", "[pause]", "[pause long]"):
        lengths.append(sum(audio_bytes(opened().receive(markup_request(tag)._pb, 0.0))))
    assert 0 < lengths[0] < lengths[1] < lengths[2]


def test_pause_tags_in_text_are_no_pauses():
    assert opened().receive(text_request("One. [pause] Two.")._pb, 0.0)[-1] == Feed("One. [pause] Two.")
