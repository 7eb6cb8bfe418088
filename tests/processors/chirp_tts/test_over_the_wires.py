"""The voice over the wires: Google's client, the emulator, a loudspeaker in real time, and what goes wrong."""

import asyncio
import random

import pytest
from pipecat.frames.frames import BotStartedSpeakingFrame, BotStoppedSpeakingFrame, ErrorFrame, TTSSpeakFrame

from halfcascade.emulator.faults import Fault
from halfcascade.emulator.profiles import Profile, SpeakerProfile
from halfcascade.processors.chirp_tts.phrase_cache import PhraseCache
from halfcascade.processors.chirp_tts.service import ChirpTTSService
from halfcascade.processors.chirp_tts.settings import ChirpTTSSettings
from halfcascade.processors.frames import TurnSentFrame
from tests.processors.chirp_tts.stage import RATE, Stage, on_stage, until
from tests.processors.chirp_tts.truth import true_onsets

ENGLISH = "The store opens at nine, and it closes at six. You can park behind it."
KOREAN = "오늘 서울 날씨는 맑고, 기온은 십오 도 정도입니다. 저녁에는 조금 쌀쌀하니 겉옷을 챙기세요."
BRISK = Profile("brisk", speaker=SpeakerProfile(first_audio=0.05, speed=4.0, chunk=0.24))


def quick(**settings) -> ChirpTTSSettings:
    """Settings of a voice that talks at twice the speed, where time is not the point."""
    return ChirpTTSService.Settings(speaking_rate=2.0, **settings)


async def finish(stage: Stage, count: int = 1) -> None:
    await stage.watcher.wait_for(BotStoppedSpeakingFrame, "Loudspeaker", count)
    await until(lambda: len(stage.said) >= count)


def texts(google) -> list[str]:
    return [entry.data["text"] for entry in google.log.find("tts", "text")]


def errors(stage: Stage) -> list[str]:
    return [frame.error for _, frame, _ in stage.watcher.seen if isinstance(frame, ErrorFrame)]


async def test_the_conversation_holds_what_was_said(google_emulator):
    async with on_stage(ChirpTTSService(settings=quick())) as stage:
        await stage.reply(ENGLISH)
        await finish(stage)
        assert stage.said == [ENGLISH]
        # Two calls at a time: they reach the server in any order.
        assert sorted(texts(google_emulator)) == sorted(stage.tts.ledger.texts("sent"))
        assert " ".join(stage.tts.ledger.texts("sent")) == ENGLISH
        assert " ".join(stage.tts.ledger.texts("heard")) == ENGLISH


async def test_japanese_is_put_together_without_spaces(google_emulator):
    text = "はい、今日は iPhone 15 を買いました。嬉しい！"
    settings = quick(voice="ja-JP-Chirp3-HD-Leda", language="ja-JP")
    async with on_stage(ChirpTTSService(settings=settings)) as stage:
        await stage.reply([text[i : i + 4] for i in range(0, len(text), 4)])
        await finish(stage)
        # Pipecat drops spaces around words whose script has none.
        assert [said.replace(" ", "") for said in stage.said] == [text.replace(" ", "")]


@pytest.mark.parametrize(
    ("voice", "text"), [("en-US-Chirp3-HD-Charon", ENGLISH), ("ko-KR-Chirp3-HD-Kore", KOREAN)], ids=["en", "ko"]
)
async def test_after_an_interruption_the_conversation_holds_what_was_heard(google_emulator_factory, voice, text):
    google = await google_emulator_factory(profile=BRISK)
    settings = ChirpTTSService.Settings(voice=voice, language=voice[:5])
    deviations = []
    async with on_stage(ChirpTTSService(settings=settings)) as stage:
        for number, after in enumerate((0.9, 2.2)):
            sent, begun = len(stage.tts.ledger.texts("sent")), len(stage.loudspeaker.blocks)
            await stage.reply(text)
            await stage.watcher.wait_for(BotStartedSpeakingFrame, "Loudspeaker", number + 1)
            await asyncio.sleep(after + random.Random(number).uniform(0, 0.3))
            at = await stage.interrupt()
            await finish(stage, number + 1)
            played = stage.loudspeaker.heard_between(begun, at)
            segments = stage.tts.ledger.texts("sent")[sent:]
            heard = len(true_onsets(google.mind.speaker, voice, segments, played))
            deviations.append(len(stage.said[number].split()) - heard)
            assert text.startswith(stage.said[number])
    assert max(map(abs, deviations)) <= 1, deviations


async def test_nothing_of_an_interrupted_reply_is_played_again(google_emulator_factory):
    google = await google_emulator_factory(profile=BRISK)
    async with on_stage(ChirpTTSService()) as stage:
        await stage.reply(ENGLISH)
        await stage.watcher.wait_for(BotStartedSpeakingFrame, "Loudspeaker")
        await asyncio.sleep(0.5)
        await stage.interrupt()
        await stage.watcher.wait_for(BotStoppedSpeakingFrame, "Loudspeaker")
        played = len(stage.loudspeaker.played)
        await stage.reply("Fine, as you like.")
        await stage.watcher.wait_for(BotStoppedSpeakingFrame, "Loudspeaker", 2)
        second = bytes(stage.loudspeaker.played[played:])
        assert len(true_onsets(google.mind.speaker, "en-US-Chirp3-HD-Charon", ["Fine,"], second)) == 1
        assert not true_onsets(
            google.mind.speaker, "en-US-Chirp3-HD-Charon", stage.tts.ledger.texts("sent")[1:2], second
        )
        cancelled = [e for e in google.log.find("tts", "close") if e.data["outcome"] != "OK"]
        assert cancelled, "the call in flight was cancelled on the wire"


async def test_segments_follow_each_other_without_gaps(google_emulator_factory):
    await google_emulator_factory(profile="reference")
    async with on_stage(ChirpTTSService()) as stage:
        await stage.reply(ENGLISH, chars_per_second=120)
        await finish(stage)
        # A natural pause is part of the audio; what is missing between blocks is a gap.
        assert max(stage.loudspeaker.gaps(), default=0) < 0.15


async def test_the_stand_by_stream_speaks_the_first_segment(google_emulator):
    async with on_stage(ChirpTTSService(settings=quick())) as stage:
        await stage.send(TurnSentFrame(text="Hi"))
        await until(lambda: google_emulator.log.find("tts", "config"))
        await stage.reply("Good morning to you.")
        await finish(stage)
    assert len(google_emulator.log.streams("tts")) == len(texts(google_emulator)) == 1


async def test_a_stand_by_stream_that_the_server_ended_is_replaced(google_emulator_factory):
    # Limits run 20 times faster: the stand-by is aborted after a quarter second instead of being renewed after four.
    google = await google_emulator_factory(clock_scale=20.0)
    async with on_stage(ChirpTTSService(settings=quick())) as stage:
        await stage.send(TurnSentFrame(text="Hi"))
        await until(lambda: google.log.find("tts", "close"))
        await stage.reply("Good morning to you.")
        await finish(stage)
        assert stage.said == ["Good morning to you."]
        assert not errors(stage)


FAULTS = {
    "refused once": [Fault("tts", "error", code="UNAVAILABLE")],
    "throttled twice": [Fault("tts", "error", code="RESOURCE_EXHAUSTED", times=2)],
    "broken after some audio": [Fault("tts", "drop", after_bytes=30_000)],
    "aborted for want of input": [Fault("tts", "error", code="ABORTED")],
    "internal error": [Fault("tts", "error", code="INTERNAL", after_bytes=60_000)],
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
async def test_one_failure_is_not_heard_of(google_emulator_factory, faults):
    await google_emulator_factory(profile=BRISK, faults=faults)
    async with on_stage(ChirpTTSService(settings=quick())) as stage:
        await stage.reply("The store opens at nine, and it closes at six.")
        await finish(stage)
        assert stage.said == ["The store opens at nine, and it closes at six."]
        assert not errors(stage)
        assert not stage.tts.ledger.texts("skipped")


@pytest.mark.slow
async def test_a_segment_that_fails_for_good_is_skipped_and_known(google_emulator_factory):
    google = await google_emulator_factory(profile=BRISK)
    # The first call, which stands ready, is left alone.
    google.faults.add(Fault("tts", "error", code="UNAVAILABLE", skip=1, times=-1))
    async with on_stage(ChirpTTSService(settings=quick())) as stage:
        await stage.send(TurnSentFrame(text="Hi"))
        await until(lambda: google.log.find("tts", "config"))
        await stage.reply(["Certainly I will. ", "This one is lost."])
        await finish(stage)
        assert stage.tts.ledger.texts("skipped") == ["This one is lost."]
        assert stage.said == ["Certainly I will."]
        assert len(errors(stage)) == 1 and "\n" not in errors(stage)[0]


async def test_an_unknown_voice_is_one_clear_error_and_the_turn_ends(google_emulator):
    settings = quick(voice="en-ZZ-Chirp3-HD-Charon", language="en-ZZ")
    async with on_stage(ChirpTTSService(settings=settings)) as stage:
        await stage.reply("Hello there. How are you?")
        await stage.watcher.wait_for(ErrorFrame)
        assert "en-ZZ-Chirp3-HD-Charon" in errors(stage)[0]
        assert "\n" not in errors(stage)[0]
        assert not stage.tts.is_usable
        assert len(google_emulator.log.streams("tts")) <= 3


async def test_text_beyond_the_limit_is_split(google_emulator):
    text = "오늘은 날씨가 참 좋습니다. " * 200
    settings = ChirpTTSService.Settings(voice="ko-KR-Chirp3-HD-Kore", language="ko-KR")
    async with on_stage(ChirpTTSService(settings=settings)) as stage:
        await stage.send(TTSSpeakFrame(text.strip()))
        await stage.watcher.wait_for(BotStartedSpeakingFrame, "Loudspeaker")
        await until(lambda: len(texts(google_emulator)) > 1)
        assert all(len(t.encode()) <= 5000 for t in texts(google_emulator))
        assert text.startswith("".join(stage.tts.ledger.texts("sent")))
        assert not errors(stage)


async def test_a_phrase_is_requested_once(google_emulator, tmp_path):
    async with on_stage(ChirpTTSService(settings=quick(), phrase_cache=PhraseCache(tmp_path))) as stage:
        for count in (1, 2):
            await stage.send(TTSSpeakFrame("One moment, please."))
            await finish(stage, count)
        assert stage.said == ["One moment, please."] * 2
    assert texts(google_emulator) == ["One moment, please."]
    assert len(stage.loudspeaker.played) / 2 / RATE > 1.0
