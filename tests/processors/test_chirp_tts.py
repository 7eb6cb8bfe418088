"""The voice, frame by frame, on a fake client."""

import pytest
from pipecat.frames.frames import (
    AggregatedTextFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.tests.utils import SleepFrame, run_test

from processors.chirp_tts import ChirpTTSService
from processors.errors import ConfigurationError
from tests.processors.chirp_fake import RATE, FakeTextToSpeech


@pytest.fixture
def server() -> FakeTextToSpeech:
    return FakeTextToSpeech()


def reply(*texts: str) -> list:
    return [LLMFullResponseStartFrame(), *(LLMTextFrame(text) for text in texts), LLMFullResponseEndFrame()]


def words(frames) -> list[str]:
    return [frame.text for frame in frames if isinstance(frame, TTSTextFrame)]


def seconds(frames) -> float:
    return sum(frame.num_frames for frame in frames if isinstance(frame, TTSAudioRawFrame)) / RATE


async def test_a_reply_is_spoken_piece_by_piece_and_reported_word_by_word(server):
    tts = ChirpTTSService(client=server)
    down, _ = await run_test(tts, frames_to_send=reply("Well, hello there my ", "friend, how are you? I am ", "fine."))
    assert words(down) == ["Well,", "hello", "there", "my", "friend,", "how", "are", "you?", "I", "am", "fine."]
    kinds = [type(frame) for frame in down]
    assert kinds.count(TTSStartedFrame) == kinds.count(TTSStoppedFrame) == 1
    assert kinds.index(TTSStartedFrame) < kinds.index(TTSAudioRawFrame) < kinds.index(TTSTextFrame)
    assert kinds[-1] is LLMFullResponseEndFrame
    assert "".join(server.texts).replace(" ", "") == "Well,hellotheremyfriend,howareyou?Iamfine."
    pieces = [frame.text for frame in down if type(frame) is AggregatedTextFrame]
    assert len(pieces) == len(server.texts)


async def test_word_frames_come_with_rising_times(server):
    tts = ChirpTTSService(client=server)
    down, _ = await run_test(tts, frames_to_send=reply("One two three, four five six. ", "Seven."))
    times = [frame.pts for frame in down if isinstance(frame, TTSTextFrame)]
    assert times == sorted(times)
    assert (times[-1] - times[0]) / 1e9 < seconds(down)


async def test_a_speak_frame_is_spoken_and_closed(server):
    tts = ChirpTTSService(client=server)
    down, _ = await run_test(tts, frames_to_send=[TTSSpeakFrame("Good morning.")])
    assert words(down) == ["Good", "morning."]
    assert isinstance(next(f for f in reversed(down) if not isinstance(f, TTSTextFrame)), object)
    assert sum(isinstance(f, TTSStoppedFrame) for f in down) == 1


async def test_an_interruption_stops_synthesis_and_drops_the_rest(server):
    server.pace = 0.05
    tts = ChirpTTSService(client=server)
    text = "This is a rather long sentence that goes on and on for quite some time without any end in sight. "
    frames = [*reply(text * 3)[:-1], SleepFrame(0.5), InterruptionFrame(), SleepFrame(0.2)]
    down, _ = await run_test(tts, frames_to_send=frames)
    at = next(i for i, frame in enumerate(down) if isinstance(frame, InterruptionFrame))
    assert words(down[:at]) and not words(down[at:])
    assert not any(isinstance(frame, TTSAudioRawFrame) for frame in down[at:])
    assert any(call.record.cancelled for call in server.calls)
    heard = " ".join(tts.ledger.texts("heard"))
    cut = " ".join(text.strip() for text in tts.ledger.texts("cut"))
    assert text.startswith(heard)
    assert f"{heard} {cut}" == (text * 3).strip()


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({"voice": "en-US-Wavenet-A"}, "no Chirp 3 HD voice"),
        ({"voice": "en-US-Chirp3-HD-Nobody"}, "no voice called 'Nobody'"),
        ({"voice": "en-US-Chirp3-HD-Kore", "language": "ko-KR"}, "ko-KR-Chirp3-HD-Kore"),
        ({"language": "korean"}, "no locale"),
        ({"speaking_rate": 3.0}, "out of range"),
    ],
)
def test_contradictory_settings_are_refused_in_one_line(settings, cause):
    with pytest.raises(ConfigurationError, match=cause) as raised:
        ChirpTTSService(client=FakeTextToSpeech(), settings=ChirpTTSService.Settings(**settings))
    assert "\n" not in str(raised.value)
