"""The voice, frame by frame, on a fake client."""

import numpy as np
import pytest
from google.api_core import exceptions as google
from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.metrics.metrics import TTSUsageMetricsData
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import SleepFrame, run_test

from halfcascade.processors.chirp_tts.protocol.calls import NO_AUDIO
from halfcascade.processors.chirp_tts.segmenter import FirstSegment
from halfcascade.processors.chirp_tts.service import ChirpTTSService, TTSDiscardedMetricsData
from halfcascade.processors.chirp_tts.settings import ChirpTTSSettings, Pronunciation
from halfcascade.processors.errors import ConfigurationError
from tests.in_virtual_time import in_virtual_time
from tests.processors.chirp_tts.fake import RATE, FakeTextToSpeech


@pytest.fixture
def server() -> FakeTextToSpeech:
    return FakeTextToSpeech()


def reply(*texts: str) -> list:
    return [LLMFullResponseStartFrame(), *(LLMTextFrame(text) for text in texts), LLMFullResponseEndFrame()]


def words(frames) -> list[str]:
    return [frame.text for frame in frames if isinstance(frame, TTSTextFrame)]


def seconds(frames) -> float:
    return sum(frame.num_frames for frame in frames if isinstance(frame, TTSAudioRawFrame)) / RATE


@in_virtual_time
async def test_a_reply_is_spoken_segment_by_segment_and_reported_word_by_word(server):
    tts = ChirpTTSService(client=server)
    down, _ = await run_test(tts, frames_to_send=reply("Well, hello there my ", "friend, how are you? I am ", "fine."))
    assert words(down) == ["Well,", "hello", "there", "my", "friend,", "how", "are", "you?", "I", "am", "fine."]
    kinds = [type(frame) for frame in down]
    assert kinds.count(TTSStartedFrame) == kinds.count(TTSStoppedFrame) == 1
    assert kinds.index(TTSStartedFrame) < kinds.index(TTSAudioRawFrame) < kinds.index(TTSTextFrame)
    assert kinds[-1] is LLMFullResponseEndFrame
    assert "".join(server.texts).replace(" ", "") == "Well,hellotheremyfriend,howareyou?Iamfine."
    segments = [frame.text for frame in down if type(frame) is AggregatedTextFrame]
    assert len(segments) == len(server.texts)


@in_virtual_time
async def test_word_frames_come_with_rising_times(server):
    tts = ChirpTTSService(client=server)
    down, _ = await run_test(tts, frames_to_send=reply("One two three, four five six. ", "Seven."))
    times = [frame.pts or 0 for frame in down if isinstance(frame, TTSTextFrame)]
    assert times == sorted(times)
    assert (times[-1] - times[0]) / 1e9 < seconds(down)


@in_virtual_time
async def test_a_speak_frame_is_spoken_and_closed(server):
    tts = ChirpTTSService(client=server)
    down, _ = await run_test(tts, frames_to_send=[TTSSpeakFrame("Good morning.")])
    assert words(down) == ["Good", "morning."]
    assert sum(isinstance(f, TTSStoppedFrame) for f in down) == 1


@in_virtual_time
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
    # A first cut without a mark is said with a comma.
    heard = " ".join(tts.ledger.texts("heard")).replace(",", "")
    cut = " ".join(text.strip() for text in tts.ledger.texts("cut")).replace(",", "")
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


@in_virtual_time
async def test_code_is_shown_and_announced_once(server):
    tts = ChirpTTSService(client=server)
    code = ["```py\nx = 1\n```", "```py\ny = 2\n```"]
    down, _ = await run_test(tts, frames_to_send=reply(f"Try this:\n{code[0]}\nOr:\n{code[1]}\nDone."))
    assert server.texts == ["Try this:", "I have put the code on the screen.", "Or:", "Done."]
    skipped = [frame for frame in down if type(frame) is AggregatedTextFrame and frame.skip_tts]
    assert [frame.text for frame in skipped] == [code[1]]
    assert skipped[0].append_to_context
    # The context holds the code in the place of the phrase that was heard.
    written = [f.raw_text for f in down if isinstance(f, TTSTextFrame) and f.append_to_context]
    assert written == ["Try", "this:", code[0], "Or:", "Done."]


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (["👍"], ["Hm."]),
        (["..."], ["Hm."]),
        (["\n", "🎉 ", "👍"], ["Hm."]),
        (["```py\nprint(1)\n```"], ["I have put the code on the screen."]),
        (["```py\nprint(1)"], ["I have put the code on the screen."]),
        (["$$x^2$$"], ["I have put the formula on the screen."]),
    ],
)
@in_virtual_time
async def test_a_reply_without_anything_to_say_is_answered_at_once(server, pieces, said):
    tts = ChirpTTSService(client=server)
    down, _ = await run_test(tts, frames_to_send=reply(*pieces))
    assert server.texts == said
    assert any(isinstance(frame, LLMFullResponseEndFrame) for frame in down)
    # What was written is in the context, and nothing else.
    written = [f.raw_text for f in down if isinstance(f, TTSTextFrame) and f.append_to_context]
    assert " ".join(written) == " ".join("".join(pieces).split(" ")).strip()


@in_virtual_time
async def test_a_language_without_phrases_still_ends_the_turn(server):
    tts = ChirpTTSService(client=server, settings=ChirpTTSSettings(voice="sv-SE-Chirp3-HD-Kore", language="sv-SE"))
    down, _ = await run_test(tts, frames_to_send=reply("```py\nx\n```"))
    assert [f.text for f in down if type(f) is AggregatedTextFrame and f.skip_tts] == ["```py\nx\n```"]
    assert any(isinstance(frame, LLMFullResponseEndFrame) for frame in down)


@in_virtual_time
async def test_pictures_belong_to_the_words_after_them(server):
    tts = ChirpTTSService(client=server)
    down, _ = await run_test(tts, frames_to_send=reply("👍 ", "Sure thing, my friend! ", "😀"))
    assert server.texts == ["Sure thing, my friend!"]
    assert next(f.raw_text for f in down if isinstance(f, TTSTextFrame)) == "👍 Sure"
    assert [f.text for f in down if type(f) is AggregatedTextFrame and f.skip_tts] == ["😀"]


@in_virtual_time
async def test_what_is_spoken_differs_from_what_is_written(server):
    tts = ChirpTTSService(client=server)
    text = "See **this** 🎉 on https://www.example.com/a/b?c=d now."
    down, _ = await run_test(tts, frames_to_send=reply(text, " 🎉"))
    assert server.texts == ["See this on example.com now."]
    written = " ".join(f.raw_text for f in down if isinstance(f, TTSTextFrame) and f.append_to_context and f.raw_text)
    assert written == text


@pytest.mark.parametrize(("markup", "sent"), [(True, "Well [pause long] yes."), (False, "Well yes.")])
@in_virtual_time
async def test_pause_tags_are_for_the_voice_only(server, markup, sent):
    tts = ChirpTTSService(client=server, settings=ChirpTTSService.Settings(markup=markup))
    down, _ = await run_test(tts, frames_to_send=reply("Well [pause long] yes."))
    assert server.texts == [sent]
    assert bool(server.spoken[0].inputs[0].markup) is markup
    assert words(down) == ["Well", "yes."]


@in_virtual_time
async def test_settings_reach_the_wire(server):
    settings = ChirpTTSService.Settings(
        voice="ko-KR-Chirp3-HD-Kore",
        language="ko-KR",
        speaking_rate=1.2,
        custom_pronunciations=[Pronunciation("Kore", "koːɾe")],
    )
    await run_test(ChirpTTSService(client=server, settings=settings), frames_to_send=[TTSSpeakFrame("안녕하세요.")])
    config = server.spoken[0].config
    assert (config.voice.name, config.voice.language_code) == ("ko-KR-Chirp3-HD-Kore", "ko-KR")
    assert config.streaming_audio_config.speaking_rate == pytest.approx(1.2)
    assert config.streaming_audio_config.sample_rate_hertz == RATE
    assert config.streaming_audio_config.audio_encoding.name == "PCM"
    assert [(p.phrase, p.pronunciation) for p in config.custom_pronunciations.pronunciations] == [("Kore", "koːɾe")]


@in_virtual_time
async def test_a_custom_voice_needs_no_name_and_shows_no_key(server):
    settings = ChirpTTSService.Settings(voice=None, language="en-US", voice_cloning_key="s3cret")
    await run_test(ChirpTTSService(client=server, settings=settings), frames_to_send=[TTSSpeakFrame("Hello.")])
    assert server.spoken[0].config.voice.voice_clone.voice_cloning_key == "s3cret"
    assert not server.spoken[0].config.voice.name
    assert "s3cret" not in repr(settings)


@in_virtual_time
async def test_settings_change_between_segments_and_bad_ones_are_refused(server):
    tts = ChirpTTSService(client=server)
    change = {"voice": "en-US-Chirp3-HD-Kore", "speaking_rate": 1.5}
    _, up = await run_test(
        tts,
        frames_to_send=[
            TTSSpeakFrame("One."),
            SleepFrame(0.1),
            TTSUpdateSettingsFrame(delta=ChirpTTSService.Settings(**change)),
            TTSUpdateSettingsFrame(delta=ChirpTTSService.Settings(language="ko-KR")),
            TTSSpeakFrame("Two."),
        ],
    )
    assert [call.config.voice.name for call in server.spoken] == ["en-US-Chirp3-HD-Charon", "en-US-Chirp3-HD-Kore"]
    errors = [frame.error for frame in up if isinstance(frame, ErrorFrame)]
    assert len(errors) == 1 and "speaks en-US" in errors[0]


@in_virtual_time
async def test_characters_sent_and_thrown_away_are_metrics(server):
    tts = ChirpTTSService(client=server)
    text = "This sentence will be cut off long before it comes to its very end, you see."
    frames = [*reply(text), SleepFrame(0.6), InterruptionFrame(), SleepFrame(0.1)]
    down, _ = await run_test(
        tts, frames_to_send=frames, pipeline_params=PipelineParams(enable_metrics=True, enable_usage_metrics=True)
    )
    data = [item for frame in down if isinstance(frame, MetricsFrame) for item in frame.data]
    sent = sum(item.value for item in data if isinstance(item, TTSUsageMetricsData))
    discarded = sum(item.value for item in data if isinstance(item, TTSDiscardedMetricsData))
    assert sent == sum(map(len, server.texts))
    assert 0 < discarded < sent
    assert discarded == sum(map(len, tts.ledger.texts("cut")))


@in_virtual_time
async def test_late_segments_do_not_end_the_utterance(server):
    tts = ChirpTTSService(client=server, stop_frame_timeout_s=0.5)
    frames = reply("First comes this. ", "Then comes that.")
    down, _ = await run_test(tts, frames_to_send=[*frames[:2], SleepFrame(1.8), *frames[2:]])
    assert sum(isinstance(frame, TTSStartedFrame) for frame in down) == 1
    assert words(down) == ["First", "comes", "this.", "Then", "comes", "that."]


@in_virtual_time
async def test_later_text_is_cut_before_the_voice_falls_silent(server):
    tts = ChirpTTSService(client=server)
    frames = reply("Good morning. ", "Once there was a tiny village without ", "any locks.")
    down, _ = await run_test(tts, frames_to_send=[*frames[:3], SleepFrame(1.2), *frames[3:]])
    assert server.texts == ["Good morning.", "Once there was a tiny village,", "without any locks."]
    written = " ".join(str(f.raw_text) for f in down if isinstance(f, TTSTextFrame) and f.append_to_context)
    assert written == "Good morning. Once there was a tiny village without any locks."
    assert len(words(down)) == 11


@pytest.mark.parametrize(
    ("text", "first"),
    [
        # The end of a phrase, a sentence that may be over, and no end at all: each is spoken though no more text comes.
        ("The race is long and ", "The race is long,"),
        ("Welcome back.", "Welcome back."),
        ("Honey never ", "Honey never,"),
    ],
)
@in_virtual_time
async def test_the_first_segment_is_spoken_while_the_model_pauses(server, text, first):
    tts = ChirpTTSService(client=server, first_segment=FirstSegment(settle=0.1, wait=0.3))
    frames = [LLMFullResponseStartFrame(), LLMTextFrame(text), SleepFrame(1.5)]
    await run_test(tts, frames_to_send=[*frames, LLMTextFrame(" yes."), LLMFullResponseEndFrame()])
    sent = [entry for entry in tts.ledger.entries if entry.kind == "sent"]
    assert sent[0].text == first
    # Long before the next text, which the model gives a second and a half later.
    assert len(sent) > 1 and sent[-1].at - sent[0].at > 0.5


@in_virtual_time
async def test_short_audio_breaks_are_retried_from_the_word_that_was_lost(server):
    server.break_after, server.break_with = [0.8], google.ServiceUnavailable("gone")
    tts = ChirpTTSService(client=server)
    down, up = await run_test(tts, frames_to_send=reply("Alpha bravo charlie delta echo."))
    assert words(down) == ["Alpha", "bravo", "charlie", "delta", "echo."]
    assert len(server.texts) == 2 and server.texts[0].endswith(server.texts[1])
    assert 0 < len(server.texts[1]) < len(server.texts[0])
    assert not any(isinstance(frame, ErrorFrame) for frame in up)


@in_virtual_time
async def test_a_voice_that_cannot_work_reports_it_once_and_claims_nothing(server):
    server.fail(google.PermissionDenied("API disabled"), times=9)
    tts = ChirpTTSService(client=server)
    down, up = await run_test(tts, frames_to_send=[*reply("One thing. ", "Another thing."), *reply("And more.")])
    assert not words(down)
    errors = [frame.error for frame in up if isinstance(frame, ErrorFrame)]
    assert len(errors) == 1 and "API disabled" in errors[0]
    assert not tts.is_usable
    assert sum(isinstance(frame, LLMFullResponseEndFrame) for frame in down) == 2


@in_virtual_time
async def test_leading_silence_is_trimmed_and_joins_are_even(server):
    server.lead_silence = 0.5
    tts = ChirpTTSService(client=server)
    down, _ = await run_test(tts, frames_to_send=reply("One two three. ", "Four five six."))
    audio = np.frombuffer(b"".join(f.audio for f in down if isinstance(f, TTSAudioRawFrame)), dtype=np.int16)
    levels = np.abs(audio[: len(audio) // 240 * 240]).reshape(-1, 240).max(axis=1) > 200
    assert levels[:4].any()
    silence = max(len(run) for run in "".join("x" if level else "." for level in levels).split("x"))
    assert 0.2 < silence * 0.01 < 0.45


@in_virtual_time
async def test_the_end_of_the_pipeline_waits_for_the_voice(server):
    tts = ChirpTTSService(client=server)
    # The reply is never ended by the brain.
    down, _ = await run_test(tts, frames_to_send=reply("Good night then. ", "Sleep well.")[:-1])
    assert words(down)[:3] == ["Good", "night", "then."]


async def test_a_reply_that_gave_no_audio_is_told_in_words_of_ours(server, monkeypatch):
    tts = ChirpTTSService(client=server)
    told: list[str] = []

    async def tell(line: str, **_: object) -> None:
        told.append(line)

    monkeypatch.setattr(tts, "push_error", tell)
    for number in range(10):
        await tts._record_context_audio_outcome(f"8eafe47e-{number}", received_audio=False)
    assert told == [] and NO_AUDIO.reason == "Text-to-Speech gave no audio for a sentence."
