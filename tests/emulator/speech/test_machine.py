import datetime

import grpc
import pytest
from google.cloud.speech_v2.types import cloud_speech as speech
from google.protobuf.duration_pb2 import Duration

from halfcascade.emulator.actions import Abort, Begin, End, Feed, Finish, Send
from halfcascade.emulator.limits import SpeechLimits
from halfcascade.emulator.minds.base import Hypothesis, RecognitionRequest, SpeechActivity
from halfcascade.emulator.speech.machine import RecognizeStream
from halfcascade.emulator.speech.v2 import IDLE_TEXT, MAX_DURATION_TEXT, V2
from tests.emulator.speech.requests import audio_request, config_request, recognition_config

SECOND = bytes(32_000)
PIECE = bytes(3_200)  # 100 ms
Events = speech.StreamingRecognizeResponse.SpeechEventType


def opened(config=None, *, now=0.0, location="us", limits=None, **features) -> RecognizeStream:
    machine = RecognizeStream(now, limits or SpeechLimits(), V2("request-1"))
    (begin,) = machine.receive(config_request(location, config=config, **features)._pb, now)
    assert isinstance(begin, Begin)
    return machine


def refusal(request, *, after_config=False) -> Abort:
    machine = opened() if after_config else RecognizeStream(0.0, SpeechLimits(), V2("request-1"))
    (abort,) = machine.receive(request._pb, 0.0)
    assert isinstance(abort, Abort)
    assert machine.deadline is None
    return abort


def sent(actions) -> list:
    return [action.message for action in actions if isinstance(action, Send)]


def feed_seconds(machine: RecognizeStream, seconds: float, now: float = 0.0) -> None:
    for _ in range(round(seconds * 10)):
        assert machine.receive(audio_request(PIECE)._pb, now) == [Feed([PIECE])]


def test_config_begins_a_recognition_and_audio_feeds_it():
    machine = RecognizeStream(0.0, SpeechLimits(), V2("request-1"))
    config = recognition_config(
        languages=("ko-KR", "en-US"),
        adaptation=speech.SpeechAdaptation(
            phrase_sets=[
                speech.SpeechAdaptation.AdaptationPhraseSet(
                    inline_phrase_set=speech.PhraseSet(phrases=[speech.PhraseSet.Phrase(value="Pipecat")])
                )
            ]
        ),
    )
    actions = machine.receive(
        config_request(
            "eu",
            config=config,
            interim_results=True,
            endpointing_sensitivity="ENDPOINTING_SENSITIVITY_SUPERSHORT",
        )._pb,
        0.0,
    )
    assert actions == [
        Begin(
            [
                RecognitionRequest(
                    ["ko-KR", "en-US"], "chirp_3", interim_results=True, phrases=("Pipecat",), endpointing="supershort"
                )
            ]
        )
    ]
    assert machine.receive(audio_request(SECOND[:25_600])._pb, 0.0) == [Feed([SECOND[:25_600]])]
    assert machine.audio_seconds == pytest.approx(0.8)


def test_first_message_without_config_is_refused():
    assert refusal(audio_request(PIECE)).code == grpc.StatusCode.INVALID_ARGUMENT


def test_first_message_without_recognizer_is_refused():
    request = config_request()
    request.recognizer = ""
    assert refusal(request).code == grpc.StatusCode.INVALID_ARGUMENT


def test_second_config_is_refused():
    assert refusal(config_request(), after_config=True).code == grpc.StatusCode.INVALID_ARGUMENT


def test_audio_message_of_25600_bytes_is_taken_and_one_above_refused_verbatim():
    machine = opened()
    assert machine.receive(audio_request(bytes(25_600))._pb, 0.0) == [Feed([bytes(25_600)])]
    (abort,) = machine.receive(audio_request(bytes(294_400))._pb, 0.0)
    assert abort == Abort(
        grpc.StatusCode.INVALID_ARGUMENT,
        "Audio chunk can be of a maximum of 25600 bytes. Received audio of 294400 bytes instead.",
    )


def test_stream_ends_after_five_minutes_however_busy():
    machine = opened(now=100.0)
    now = 100.0
    while now < 399.0:
        now += 5.0
        machine.receive(audio_request(PIECE)._pb, now)
        assert now >= 399 or machine.tick(now) == []
    assert machine.deadline == 400.0
    assert machine.tick(400.0) == [Abort(grpc.StatusCode.ABORTED, MAX_DURATION_TEXT)]
    assert MAX_DURATION_TEXT == "Max duration of 5 minutes reached for stream."
    assert machine.receive(audio_request(PIECE)._pb, 401.0) == []


def test_five_minutes_count_while_results_are_flushed_too():
    machine = opened()
    feed_seconds(machine, 0.1, now=299.0)
    assert machine.half_close(299.5) == [Finish()]
    assert machine.tick(300.0) == [Abort(grpc.StatusCode.ABORTED, MAX_DURATION_TEXT)]


@pytest.mark.parametrize("with_audio", [False, True])
def test_stream_without_requests_for_ten_seconds_is_aborted(with_audio):
    machine = opened(now=50.0)
    if with_audio:
        feed_seconds(machine, 0.1, now=50.0)
    assert machine.deadline == 60.0
    assert machine.tick(59.9) == []
    assert machine.tick(60.0) == [Abort(grpc.StatusCode.ABORTED, IDLE_TEXT)]
    assert IDLE_TEXT == "Stream timed out after receiving no more client requests."


def test_audio_puts_the_idle_limit_off():
    machine = opened()
    feed_seconds(machine, 0.1, now=9.0)
    assert machine.tick(18.9) == []
    assert machine.tick(19.0) != []


def test_idle_limit_does_not_count_after_half_close():
    machine = opened()
    machine.half_close(1.0)
    assert machine.tick(200.0) == []


def test_limits_scale():
    limits = SpeechLimits().scaled(100)
    machine = opened(limits=limits)
    assert machine.deadline == pytest.approx(0.1)
    assert limits.max_duration == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("model", "location", "text"),
    [
        ("chirp_3", "global", 'The model "chirp_3" does not exist in the location named "global"'),
        ("chirp_3", "us-central1", 'The model "chirp_3" does not exist in the location named "us-central1"'),
        ("chirp_2", "us", 'The model "chirp_2" does not exist in the location named "us"'),
        ("nonsense", "global", 'The model "nonsense" does not exist in the location named "global"'),
        ("long", "nowhere", 'The model "long" does not exist in the location named "nowhere"'),
    ],
)
def test_model_is_refused_where_it_does_not_exist(model, location, text):
    abort = refusal(config_request(location, config=recognition_config(model)))
    assert abort == Abort(grpc.StatusCode.INVALID_ARGUMENT, text)


@pytest.mark.parametrize(
    ("model", "location", "language"),
    [
        ("chirp_3", "us", "ko-KR"),
        ("chirp_3", "eu", "auto"),
        ("chirp_2", "us-central1", "ja-JP"),
        ("latest_long", "global", "en-US"),
        ("telephony", "asia-northeast1", "ko-KR"),
    ],
)
def test_model_is_accepted_where_it_exists(model, location, language):
    opened(recognition_config(model, (language,)), location=location)


def test_chirp_3_in_singapore_is_denied():
    abort = refusal(config_request("asia-southeast1"))
    assert abort.code == grpc.StatusCode.PERMISSION_DENIED
    assert "no longer generally available" in abort.text


@pytest.mark.parametrize(
    ("model", "location", "language"),
    [("chirp_3", "us", "si-LK"), ("chirp_2", "us-central1", "sv-SE"), ("long", "global", "auto")],
)
def test_language_that_a_model_does_not_support_is_refused(model, location, language):
    abort = refusal(config_request(location, config=recognition_config(model, (language,))))
    assert (
        abort.text == f"The language {language} is not supported by the model {model} in the location named {location}"
    )


def test_config_without_language_is_refused():
    assert refusal(config_request(config=recognition_config(languages=()))).code == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("feature", "name"),
    [
        ("enable_word_confidence", "word_level_confidence"),
        ("enable_spoken_punctuation", "spoken_punctuation"),
        ("enable_spoken_emojis", "spoken_emojis"),
        ("profanity_filter", "profanity_filter"),
    ],
)
def test_chirp_3_refuses_features_that_other_models_have(feature, name):
    features = speech.RecognitionFeatures(**{feature: True})
    abort = refusal(config_request(config=recognition_config(features=features)))
    assert f"Recognizer does not support feature: {name}" in abort.text
    opened(recognition_config("long", features=features), location="global")


def test_diarization_is_refused_in_streams():
    features = speech.RecognitionFeatures(diarization_config=speech.SpeakerDiarizationConfig())
    assert refusal(config_request(config=recognition_config(features=features)))


def test_more_than_a_thousand_phrases_are_refused():
    phrases = [speech.PhraseSet.Phrase(value=f"phrase {number}") for number in range(1_001)]
    adaptation = speech.SpeechAdaptation(
        phrase_sets=[speech.SpeechAdaptation.AdaptationPhraseSet(inline_phrase_set=speech.PhraseSet(phrases=phrases))]
    )
    assert "1001" in refusal(config_request(config=recognition_config(adaptation=adaptation))).text


@pytest.mark.parametrize("name", ["recognizers/_", "projects/p/recognizers/_", "projects/p/locations/us/recognizers/"])
def test_malformed_recognizer_is_refused(name):
    request = config_request()
    request.recognizer = name
    assert refusal(request).code == grpc.StatusCode.INVALID_ARGUMENT


def test_interims_are_sent_only_when_asked_for():
    interim = Hypothesis("hello", is_final=False, start=0.0, end=0.5, language_code="en-US")
    assert opened().heard([interim], 1.0) == []
    assert len(sent(opened(interim_results=True).heard([interim], 1.0))) == 1


def test_interim_is_split_into_stable_head_and_tail():
    interim = Hypothesis("hello there", is_final=False, start=0.0, end=1.25, tail=" my friend", language_code="en-US")
    (response,) = sent(opened(interim_results=True).heard([interim], 1.0))
    assert [result.alternatives[0].transcript for result in response.results] == ["hello there", " my friend"]
    assert response.results[0].stability > response.results[1].stability > 0
    assert not any(result.is_final for result in response.results)
    assert response.results[0].result_end_offset.ToTimedelta() == datetime.timedelta(seconds=1.25)
    assert response.results[0].language_code == "en-US"
    assert not response.metadata.HasField("total_billed_duration")


def test_final_comes_before_interims_of_later_audio_in_one_response():
    machine = opened(interim_results=True)
    feed_seconds(machine, 2.3)
    final = Hypothesis("first", is_final=True, start=0.0, end=1.0, confidence=0.9)
    interim = Hypothesis("second", is_final=False, start=1.0, end=2.0)
    (response,) = sent(machine.heard([final, interim], 1.0))
    assert [(result.alternatives[0].transcript, result.is_final) for result in response.results] == [
        ("first", True),
        ("second", False),
    ]
    assert response.results[0].alternatives[0].confidence == pytest.approx(0.9)
    assert response.results[0].stability == 0.0


def test_a_response_holds_at_most_one_final_and_it_stands_first():
    machine = opened(interim_results=True)
    events = [
        Hypothesis("one", is_final=False, start=0.0, end=0.5),
        Hypothesis("one", is_final=True, start=0.0, end=1.0),
        Hypothesis("two", is_final=True, start=1.0, end=2.0),
    ]
    responses = sent(machine.heard(events, 1.0))
    assert [[result.is_final for result in response.results] for response in responses] == [[False], [True], [True]]


def test_final_carries_request_id_and_billed_seconds_rounded_up():
    machine = opened()
    feed_seconds(machine, 2.1)
    (response,) = sent(machine.heard([Hypothesis("hi", is_final=True, start=0.0, end=1.0)], 1.0))
    assert response.metadata.request_id == "request-1"
    assert response.metadata.total_billed_duration.seconds == 3


def test_half_close_flushes_and_the_stream_ends_when_the_listener_is_done():
    machine = opened()
    feed_seconds(machine, 1.0)
    assert machine.half_close(1.0) == [Finish()]
    assert machine.half_close(1.1) == []
    assert len(sent(machine.heard([Hypothesis("hi", is_final=True, start=0.0, end=1.0)], 1.2))) == 1
    assert machine.listener_done(1.3) == [End()]
    assert machine.deadline is None


def test_half_close_before_the_config_ends_the_stream():
    assert RecognizeStream(0.0, SpeechLimits(), V2("")).half_close(0.1) == [End()]


def test_voice_activity_events_only_when_enabled():
    begin = SpeechActivity("begin", 0.4)
    assert opened().heard([begin], 0.0) == []
    (response,) = sent(opened(enable_voice_activity_events=True).heard([begin], 0.0))
    assert response.speech_event_type == Events.SPEECH_ACTIVITY_BEGIN
    assert response.speech_event_offset.ToTimedelta() == datetime.timedelta(seconds=0.4)
    assert not response.results


def voice_timeouts(**seconds: float):
    timeouts = {name: Duration(nanos=round(value % 1 * 1e9), seconds=int(value)) for name, value in seconds.items()}
    return speech.StreamingRecognitionFeatures.VoiceActivityTimeout(**timeouts)


def test_speech_start_timeout_closes_a_stream_without_speech():
    machine = opened(enable_voice_activity_events=True, voice_activity_timeout=voice_timeouts(speech_start_timeout=1.0))
    feed_seconds(machine, 0.9, now=0.9)
    assert machine.deadline > 5
    feed_seconds(machine, 0.1, now=1.0)
    assert machine.deadline < 1.5
    assert machine.tick(machine.deadline) == [Finish()]
    assert machine.listener_done(1.5) == [End()]


def test_speech_that_is_reported_late_stops_the_start_timeout():
    machine = opened(enable_voice_activity_events=True, voice_activity_timeout=voice_timeouts(speech_start_timeout=1.0))
    feed_seconds(machine, 1.0, now=1.0)
    machine.heard([SpeechActivity("begin", 0.8)], 1.05)
    assert machine.deadline > 5


def test_speech_end_timeout_closes_the_stream_after_speech():
    machine = opened(enable_voice_activity_events=True, voice_activity_timeout=voice_timeouts(speech_end_timeout=0.5))
    machine.heard([SpeechActivity("begin", 0.2)], 0.3)
    feed_seconds(machine, 2.0, now=2.0)
    assert machine.deadline > 5
    machine.heard([SpeechActivity("end", 1.6)], 2.0)
    assert machine.deadline > 5
    feed_seconds(machine, 0.2, now=2.2)
    assert machine.tick(machine.deadline) == [Finish()]


def test_speech_goes_on_before_the_end_timeout():
    machine = opened(enable_voice_activity_events=True, voice_activity_timeout=voice_timeouts(speech_end_timeout=0.5))
    machine.heard([SpeechActivity("begin", 0.2), SpeechActivity("end", 1.0), SpeechActivity("begin", 1.3)], 1.4)
    feed_seconds(machine, 3.0, now=3.0)
    assert machine.deadline > 5


@pytest.mark.parametrize("seconds", [0.4, 61.0])
def test_voice_timeout_out_of_range_is_refused(seconds):
    request = config_request(
        enable_voice_activity_events=True, voice_activity_timeout=voice_timeouts(speech_end_timeout=seconds)
    )
    assert refusal(request).code == grpc.StatusCode.INVALID_ARGUMENT


def test_voice_timeout_needs_activity_events():
    assert refusal(config_request(voice_activity_timeout=voice_timeouts(speech_end_timeout=1.0)))


def test_latest_short_ends_after_one_utterance():
    machine = opened(recognition_config("latest_short"), location="global")
    actions = machine.heard([Hypothesis("yes", is_final=True, start=0.0, end=0.6)], 1.0)
    event, final = sent(actions)
    assert event.speech_event_type == Events.END_OF_SINGLE_UTTERANCE
    assert final.results[0].is_final
    assert actions[-1] == Finish()
    assert machine.listener_done(1.1) == [End()]
