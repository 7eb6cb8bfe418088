"""The ears in a pipeline, with a recognizer in the place of Google's client."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from google.api_core import exceptions as google_errors
from google.auth.exceptions import TransportError
from google.cloud.speech_v2.types import cloud_speech
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    ErrorFrame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    MetricsFrame,
    STTMetadataFrame,
    STTMuteFrame,
    STTUpdateSettingsFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import STTUsageMetricsData
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.transcriptions.language import Language

from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.frames import (
    Service,
    ServiceOutageFrame,
    ServiceRecoveredFrame,
    SpeechCoveredFrame,
    SpeechOnsetFrame,
    SpeechPausedFrame,
    SpeechResumedFrame,
)
from halfcascade.processors.google_stt.protocol.events import StreamParams
from halfcascade.processors.google_stt.service import GoogleStreamingSTTService
from halfcascade.processors.google_stt.stream import MAX_AUDIO_BYTES
from tests.in_virtual_time import in_virtual_time
from tests.processors.google_stt.model import BLOCK, RATE, Recognizer, Word, speak

Response = cloud_speech.StreamingRecognizeResponse


class FakeSpeech:
    """Stands in for ``SpeechAsyncClient``: recognizes words as soon as they arrive, finals at half-close."""

    def __init__(self, words: list[Word], *, language: str = "en-US", flush: float = 0.0, fail: list | None = None):
        self.vocabulary = {word.number: word.samples for word in words}
        self.language = language
        self.flush = flush
        self.failures = list(fail or [])
        self.configs: list[cloud_speech.StreamingRecognizeRequest] = []
        self.heard: list[Recognizer] = []
        self.sizes: list[int] = []
        self.transport = SimpleNamespace(grpc_channel=None)

    async def streaming_recognize(self, requests):
        return self.respond(requests, self.failures.pop(0) if self.failures else None)

    async def respond(self, requests, failure):
        recognizer = Recognizer(self.vocabulary)
        self.heard.append(recognizer)
        shown = 0
        if isinstance(failure, BaseException):
            raise failure
        async for request in requests:
            if request.streaming_config:
                self.configs.append(request)
                continue
            recognizer.audio += request.audio
            self.sizes.append(len(request.audio))
            if callable(failure) and failure(recognizer):
                raise google_errors.Aborted("Stream timed out after receiving no more client requests.")
            words = recognizer.words()
            if len(words) > shown:
                shown = len(words)
                yield self.response(words, final=False)
        await asyncio.sleep(self.flush)
        if words := recognizer.words():
            yield self.response(words, final=True, billed=len(recognizer.audio) // (2 * RATE) + 1)

    def response(self, words, final: bool, billed: int = 0) -> Response:
        result = cloud_speech.StreamingRecognitionResult(
            alternatives=[{"transcript": " ".join(word for word, _ in words)}],
            is_final=final,
            result_end_offset=timedelta(seconds=words[-1][1]),
            language_code=self.language,
        )
        metadata = {"total_billed_duration": timedelta(seconds=billed)} if billed else {}
        return Response(results=[result], metadata=metadata)


def ears(client, *, settings=None, **kwargs) -> GoogleStreamingSTTService:
    return GoogleStreamingSTTService(client=client, project="p", settings=settings, **kwargs)


def audio(samples: np.ndarray) -> list[InputAudioRawFrame]:
    return [
        InputAudioRawFrame(samples[i : i + BLOCK].astype("<i2").tobytes(), RATE, 1)
        for i in range(0, len(samples), BLOCK)
    ]


def quiet(secs: float) -> list[InputAudioRawFrame]:
    return audio(np.zeros(round(secs * RATE)))


STARTED = VADUserStartedSpeakingFrame(start_secs=0.2)
WORDS = [Word(1, 4_800), Word(2, 4_800), Word(3, 4_800)]


def said(*words: Word) -> list[InputAudioRawFrame]:
    return audio(speak(list(words)))


def stopped() -> VADUserStoppedSpeakingFrame:
    return VADUserStoppedSpeakingFrame(stop_secs=0.2)


async def run(service, frames, **kwargs):
    down, up = await run_test(
        service,
        frames_to_send=[*frames, SleepFrame(0.1)],
        pipeline_params=PipelineParams(audio_in_sample_rate=RATE, enable_metrics=True, enable_usage_metrics=True),
        start_timeout=20.0,
        **kwargs,
    )
    return down, up


def texts(frames, kind=TranscriptionFrame) -> list[str]:
    return [frame.text for frame in frames if isinstance(frame, kind)]


@in_virtual_time
async def test_the_final_comes_when_speech_stops_and_is_finalized():
    client = FakeSpeech(WORDS)
    frames = [*quiet(0.5), *said(WORDS[0]), STARTED, *said(WORDS[1]), *quiet(0.2), stopped(), SleepFrame(0.2)]
    down, _ = await run(ears(client), frames)
    finals = [frame for frame in down if isinstance(frame, TranscriptionFrame)]
    assert [(f.text, f.finalized, f.language) for f in finals] == [("word1 word2", True, Language.EN_US)]
    assert texts(down, InterimTranscriptionFrame) == ["word1", "word1 word2"]
    assert len(client.heard) == 1


@in_virtual_time
async def test_a_pause_flushes_and_the_turn_goes_on_in_the_next_stream_without_gap_or_overlap():
    client = FakeSpeech(WORDS, flush=0.05)
    frames = [
        *quiet(0.5),
        *said(WORDS[0]),
        STARTED,
        *quiet(0.1),
        SpeechPausedFrame(0.1),
        SleepFrame(0.15),
        *said(WORDS[1]),
        SpeechResumedFrame(0.03),
        *said(WORDS[2]),
        *quiet(0.1),
        SpeechPausedFrame(0.1),
        SleepFrame(0.15),
        *quiet(0.1),
        stopped(),
        SleepFrame(0.2),
    ]
    down, _ = await run(ears(client, streams=StreamParams(reopen_secs=0.2)), frames)
    finals = [(f.text, f.finalized) for f in down if isinstance(f, TranscriptionFrame)]
    assert finals == [("word1", False), ("word2 word3", True)]
    sent = [np.frombuffer(bytes(stream.audio), "<i2") for stream in client.heard]
    spoken = np.concatenate(sent)
    assert len(sent) == 2
    assert [np.count_nonzero(spoken == word.number) for word in WORDS] == [4_800] * 3


@in_virtual_time
async def test_a_tentative_final_is_held_until_speech_has_stopped():
    client = FakeSpeech(WORDS)
    frames = [*said(WORDS[0]), STARTED, *quiet(0.1), SpeechPausedFrame(0.1), SleepFrame(0.2)]
    down, _ = await run(ears(client), frames)
    assert texts(down) == []
    down, _ = await run(ears(FakeSpeech(WORDS)), [*frames, stopped(), SleepFrame(0.1)])
    assert texts(down) == ["word1"]


@in_virtual_time
async def test_no_audio_is_sent_while_nobody_speaks_and_the_preroll_comes_first():
    client = FakeSpeech(WORDS)
    await run(ears(client), quiet(3.0))
    assert client.heard == []
    frames = [*quiet(3.0), *said(WORDS[0]), STARTED, *quiet(0.2), stopped(), SleepFrame(0.1), *quiet(2.0)]
    await run(ears(client), frames)
    assert len(client.heard) == 1
    # Half a second before the 0.2 s that it took to notice, and the word.
    assert len(client.heard[0].audio) / (2 * RATE) == pytest.approx(0.5 + 0.2 + 0.2, abs=0.05)


@in_virtual_time
async def test_sound_before_an_onset_is_sent_with_it_since_it_may_be_words():
    client = FakeSpeech(WORDS)
    onset = SpeechOnsetFrame(0.06, sound_secs=0.7)
    frames = [*quiet(3.0), *said(WORDS[0]), onset, *quiet(0.14), STARTED, *quiet(0.2), stopped(), SleepFrame(0.1)]
    await run(ears(client), frames)
    assert len(client.heard[0].audio) / (2 * RATE) == pytest.approx(0.5 + 0.7 + 0.14 + 0.2, abs=0.05)


@pytest.mark.parametrize("answered", [False, True])
@in_virtual_time
async def test_a_pause_of_a_turn_is_sent_whole_unless_the_bot_spoke_in_it(answered):
    client = FakeSpeech(WORDS)
    between = [BotStartedSpeakingFrame(), SleepFrame(), BotStoppedSpeakingFrame()] if answered else []
    pause = [*quiet(0.3), *between, SleepFrame(), *quiet(0.7)]
    frames = [*said(WORDS[0]), STARTED, *quiet(0.2), stopped(), SleepFrame(0.1), *pause]
    await run(ears(client), [*frames, *said(WORDS[1]), STARTED, *quiet(0.2), stopped(), SleepFrame(0.1)])
    secs = len(client.heard[1].audio) / (2 * RATE)
    assert secs == pytest.approx((0.5 if answered else 1.1) + 0.2 + 0.2, abs=0.05)


@in_virtual_time
async def test_messages_stay_below_the_limit():
    client = FakeSpeech(WORDS)
    long = Word(9, 5 * RATE)
    client.vocabulary[9] = long.samples
    service = ears(client, streams=StreamParams(preroll_secs=6.0))
    await run(service, [*said(long), STARTED, *quiet(0.2), stopped(), SleepFrame(0.1)])
    assert client.sizes
    assert max(client.sizes) <= MAX_AUDIO_BYTES


@in_virtual_time
async def test_a_dropped_stream_is_replayed_without_losing_or_doubling_words():
    client = FakeSpeech(WORDS, fail=[lambda heard: len(heard.audio) > 12_000])
    frames = [*said(WORDS[0]), STARTED]
    for frame in [*said(WORDS[1]), *said(WORDS[2]), *quiet(0.2)]:
        frames += [frame, SleepFrame(0.001)]
    down, up = await run(ears(client), [*frames, stopped(), SleepFrame(0.2)])
    assert " ".join(texts(down)) == "word1 word2 word3"
    assert len(client.heard) == 2
    assert not [frame for frame in up if isinstance(frame, ErrorFrame)]


@in_virtual_time
async def test_an_outage_is_reported_once_and_survived():
    down_errors = [google_errors.ServiceUnavailable("no route")] * 4
    client = FakeSpeech(WORDS, fail=down_errors)
    frames = [*said(WORDS[0]), STARTED, *quiet(0.2), stopped(), SleepFrame(1.5)]
    down, up = await run(ears(client, streams=StreamParams(tell_secs=0.1)), frames)
    line = "Speech-to-Text cannot be reached (no route): check the network connection."
    assert [frame.error for frame in up if isinstance(frame, ErrorFrame)] == [line]
    assert texts(down) == ["word1"]
    news = [frame for frame in down if isinstance(frame, ServiceOutageFrame | ServiceRecoveredFrame)]
    assert [type(frame) for frame in news] == [ServiceOutageFrame, ServiceRecoveredFrame]
    assert news[0].service is Service.EARS and news[0].line == line


@in_virtual_time
async def test_a_stream_that_the_server_cancels_or_that_fails_oddly_costs_no_words():
    for error in (asyncio.CancelledError(), TransportError("no network"), RuntimeError("odd")):
        client = FakeSpeech(WORDS, fail=[error])
        down, _ = await run(ears(client), [*said(WORDS[0]), STARTED, *quiet(0.2), stopped(), SleepFrame(0.5)])
        assert texts(down) == ["word1"], error


@in_virtual_time
async def test_words_survive_an_interruption_of_the_bot():
    down, _ = await run(ears(FakeSpeech(WORDS)), [*said(WORDS[0]), STARTED, *quiet(0.2), stopped(), SleepFrame(0.2)])
    [final] = [frame for frame in down if isinstance(frame, TranscriptionFrame)]
    assert not final.interruptible


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (google_errors.InvalidArgument("The language si-LK is not supported"), "check the recognition model"),
        (google_errors.PermissionDenied("no"), "roles/speech.client"),
    ],
)
@in_virtual_time
async def test_what_no_retry_can_mend_is_one_line_and_not_retried(error, remedy):
    client = FakeSpeech(WORDS, fail=[error, error])
    _, up = await run(ears(client), [*said(WORDS[0]), STARTED, *quiet(0.2), stopped(), SleepFrame(0.3)])
    errors = [frame.error for frame in up if isinstance(frame, ErrorFrame)]
    assert len(errors) == 1
    assert remedy in errors[0]
    assert "\n" not in errors[0]
    assert len(client.heard) == 1


@in_virtual_time
async def test_billed_seconds_come_as_usage_metrics():
    client = FakeSpeech(WORDS)
    frames = [*said(WORDS[0]), STARTED, *quiet(0.2), stopped(), SleepFrame(0.2), *quiet(3.0)]
    down, _ = await run(ears(client), frames)
    usage = [
        data.value.audio_seconds
        for frame in down
        if isinstance(frame, MetricsFrame)
        for data in frame.data
        if isinstance(data, STTUsageMetricsData)
    ]
    assert usage == [1.0]


@in_virtual_time
async def test_speech_without_words_is_told_to_the_turn_strategies():
    down, _ = await run(ears(FakeSpeech([])), [*quiet(0.3), STARTED, *quiet(0.2), stopped(), SleepFrame(0.2)])
    assert [frame for frame in down if isinstance(frame, SpeechCoveredFrame)]
    assert texts(down) == []


@in_virtual_time
async def test_eager_words_are_pushed_at_the_pause_and_withdrawn_when_speech_goes_on():
    frames = [*said(WORDS[0]), STARTED, *quiet(0.1), SleepFrame(0.1), SpeechPausedFrame(0.1), SleepFrame(0.1)]
    down, _ = await run(ears(FakeSpeech(WORDS, flush=2.0), eager=True), frames)
    assert texts(down, EagerTranscriptionFrame) == ["word1"]
    frames += [SpeechResumedFrame(0.03), SleepFrame(0.1)]
    down, _ = await run(ears(FakeSpeech(WORDS, flush=2.0), eager=True), frames)
    assert [frame for frame in down if isinstance(frame, EagerEndOfTurnCancelFrame)]
    down, _ = await run(ears(FakeSpeech(WORDS, flush=2.0)), frames)
    assert texts(down, EagerTranscriptionFrame) == []


@in_virtual_time
async def test_muted_ears_hear_nothing():
    client = FakeSpeech(WORDS)
    frames = [STTMuteFrame(mute=True), SleepFrame(0.05), *said(WORDS[0]), STARTED, *said(WORDS[1]), stopped()]
    down, _ = await run(ears(client), [*frames, SleepFrame(0.2)])
    assert texts(down) == []


@in_virtual_time
async def test_the_turn_strategies_are_told_how_long_a_final_takes():
    down, _ = await run(ears(FakeSpeech([])), [])
    assert [frame.ttfs_p99_latency for frame in down if isinstance(frame, STTMetadataFrame)] == [2.0]


@in_virtual_time
async def test_the_detected_language_is_in_the_frame():
    client = FakeSpeech(WORDS, language="ko-KR")
    settings = GoogleStreamingSTTService.Settings(languages=["auto"])
    service = ears(client, settings=settings)
    down, _ = await run(service, [*said(WORDS[0]), STARTED, *quiet(0.2), stopped(), SleepFrame(0.2)])
    assert [f.language for f in down if isinstance(f, TranscriptionFrame)] == [Language.KO_KR]
    assert list(client.configs[0].streaming_config.config.language_codes) == ["auto"]


@in_virtual_time
async def test_requests_name_project_location_model_and_languages():
    client = FakeSpeech(WORDS)
    settings = GoogleStreamingSTTService.Settings(
        languages=["ko-KR", Language.EN_US],
        model="chirp_2",
        adaptation={"phrase_sets": [{"phrases": [{"value": "Pipecat", "boost": 10.0}]}]},
    )
    await run(ears(client, settings=settings), [STARTED, *quiet(0.2), stopped(), SleepFrame(0.2)])
    request = client.configs[0]
    assert request.recognizer == "projects/p/locations/us-central1/recognizers/_"
    config = request.streaming_config.config
    assert (config.model, list(config.language_codes)) == ("chirp_2", ["ko-KR", "en-US"])
    assert config.explicit_decoding_config.sample_rate_hertz == RATE
    assert config.adaptation.phrase_sets[0].inline_phrase_set.phrases[0].value == "Pipecat"


@in_virtual_time
async def test_settings_change_for_the_next_stream():
    client = FakeSpeech(WORDS)
    service = ears(client)
    update = STTUpdateSettingsFrame(delta=GoogleStreamingSTTService.Settings(language=Language.KO_KR))
    frames = [STARTED, *quiet(0.2), stopped(), SleepFrame(0.1), update, SleepFrame(0.1)]
    await run(service, [*frames, STARTED, *quiet(0.2), stopped(), SleepFrame(0.1)])
    codes = [list(request.streaming_config.config.language_codes) for request in client.configs]
    assert codes == [["en-US"], ["ko-KR"]]


@in_virtual_time
async def test_a_setting_that_cannot_work_is_refused_and_the_old_one_stays():
    client = FakeSpeech(WORDS)
    service = ears(client, location="us")
    update = STTUpdateSettingsFrame(delta=GoogleStreamingSTTService.Settings(model="chirp_2"))
    _, up = await run(service, [update, SleepFrame(0.1), STARTED, *quiet(0.2), stopped(), SleepFrame(0.1)])
    assert client.configs[0].streaming_config.config.model == "chirp_3"
    assert '"us-central1"' in next(frame.error for frame in up if isinstance(frame, ErrorFrame))


@pytest.mark.parametrize(
    ("settings", "location", "line"),
    [
        ({"model": "chirp_3"}, "global", '"us" or "eu"'),
        ({"model": "chirp_2"}, "eu", '"us-central1"'),
        ({"model": "chirp_2", "languages": ["auto"]}, None, 'use "chirp_3"'),
        ({"model": "chirp_3", "languages": ["auto", "en-US"]}, None, "stands alone"),
        ({"model": "chirp_3", "profanity_filter": True}, None, "profanity_filter"),
    ],
)
def test_what_does_not_go_together_is_one_line(settings, location, line):
    with pytest.raises(ConfigurationError, match=line) as raised:
        ears(None, settings=GoogleStreamingSTTService.Settings(**settings), location=location)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("model", "location"),
    [("chirp_3", "us"), ("chirp_2", "us-central1"), ("latest_long", "global"), ("something_new", "global")],
)
def test_the_location_follows_the_model(model, location):
    assert ears(None, settings=GoogleStreamingSTTService.Settings(model=model)).location == location
