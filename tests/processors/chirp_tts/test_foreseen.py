"""The first sound of an answer that may be withdrawn: made ready, heard only if the answer is given."""

import pytest
from google.api_core import exceptions as google
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import SleepFrame, run_test

from halfcascade.processors.chirp_tts.service import ChirpTTSService, TTSDiscardedMetricsData
from halfcascade.processors.frames import AnswerForeseenFrame
from tests.in_virtual_time import in_virtual_time
from tests.processors.chirp_tts.fake import FakeTextToSpeech

FIRST_AUDIO_SECS = 0.1
DELTAS = ("Sure, that ", "is good. ", "So it is.")
OTHERS = ("Well, that ", "is hard. ", "Who knows.")
WORDS = "".join(DELTAS)


@pytest.fixture
def server() -> FakeTextToSpeech:
    server = FakeTextToSpeech()
    server.first_audio = FIRST_AUDIO_SECS
    return server


def foreseen(deltas: tuple[str, ...] = DELTAS) -> list[Frame]:
    return [AnswerForeseenFrame(text=delta) for delta in deltas]


def reply(deltas: tuple[str, ...] = DELTAS) -> list[Frame]:
    return [LLMFullResponseStartFrame(), *(LLMTextFrame(delta) for delta in deltas), LLMFullResponseEndFrame()]


class Given(ChirpTTSService):
    """Notes what had been synthesized when the answer was given."""

    server: FakeTextToSpeech
    ready: tuple[str, ...] = ()

    async def process_frame(self, frame, direction) -> None:
        if isinstance(frame, LLMFullResponseStartFrame):
            self.ready = tuple(call.text for call in self.server.spoken if call.finished)
        await super().process_frame(frame, direction)


async def run(tts: ChirpTTSService, *frames: Frame) -> list[Frame]:
    params = PipelineParams(enable_metrics=True, enable_usage_metrics=True)
    return list((await run_test(tts, frames_to_send=list(frames), pipeline_params=params, start_timeout=20.0))[0])


def said(frames: list[Frame]) -> str:
    return " ".join(frame.text for frame in frames if isinstance(frame, TTSTextFrame))


def discarded(frames: list[Frame]) -> int:
    data = [one for frame in frames if isinstance(frame, MetricsFrame) for one in frame.data]
    return sum(one.value for one in data if isinstance(one, TTSDiscardedMetricsData))


@in_virtual_time
async def test_a_confirmed_answer_is_heard_without_waiting_for_the_voice(server):
    tts = Given(client=server)
    tts.server = server
    down = await run(tts, *foreseen(), SleepFrame(FIRST_AUDIO_SECS + 0.5), *reply())
    assert said(down) == WORDS
    # Its sound was there, and was not asked for again.
    assert "".join(tts.ready).startswith("Sure")
    assert "".join(server.texts).count("Sure") == 1
    assert discarded(down) == 0


@in_virtual_time
async def test_what_was_foreseen_is_not_heard_before_the_answer_is_given(server):
    down = await run(ChirpTTSService(client=server), *foreseen(), SleepFrame(FIRST_AUDIO_SECS + 0.5))
    assert "".join(server.texts).count("Sure") == 1
    assert not any(isinstance(frame, TTSAudioRawFrame | TTSTextFrame | AnswerForeseenFrame) for frame in down)


@pytest.mark.parametrize(
    ("withdrawal", "wait"), [(EagerEndOfTurnCancelFrame, FIRST_AUDIO_SECS + 0.5), (InterruptionFrame, 0.05)]
)
@in_virtual_time
async def test_a_withdrawn_answer_leaves_nothing_but_its_price(server, withdrawal, wait):
    tts = ChirpTTSService(client=server)
    frames = [*foreseen(), SleepFrame(wait), withdrawal(), SleepFrame(0.1), *reply(OTHERS)]
    down = await run(tts, *frames)
    assert said(down) == "".join(OTHERS)
    assert 0 < discarded(down) <= len(WORDS)


@in_virtual_time
async def test_an_answer_that_another_processor_rewrote_is_said_as_it_is(server):
    down = await run(ChirpTTSService(client=server), *foreseen(), SleepFrame(0.3), *reply(OTHERS))
    assert said(down) == "".join(OTHERS)


@in_virtual_time
async def test_the_voice_asks_again_where_the_first_try_failed(server):
    server.fail(google.ServiceUnavailable("down"), times=2)
    down = await run(ChirpTTSService(client=server), *foreseen(), SleepFrame(0.5), *reply())
    assert said(down) == WORDS
