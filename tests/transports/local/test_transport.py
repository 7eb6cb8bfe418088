import asyncio
import time
from typing import Any, cast

import numpy as np
import pytest
import soundfile
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ErrorFrame,
    MetricsFrame,
)

from halfcascade.bot.controls import Choice, TalkControls
from halfcascade.bot.outcome import Outcome
from halfcascade.processors.errors import ConfigurationError
from halfcascade.transports.local import LocalAudioMetricsData, LocalDuplexParams, LocalDuplexTransport
from tests.audio_harness import BOT_RATE, Talk, tone, until
from tests.transports.local.test_aec import DATA, at_level, recording
from tests.transports.local.virtual_device import Tap
from tests.virtual_audio import Room

# A virtual device's latency, and what a busy machine adds; `test_pacing` and the bench have tight numbers.
SLACK = 0.25


def transport(**params):
    return LocalDuplexTransport(LocalDuplexParams(**params))


def speech(name, dbfs=-20):
    """A recording as bot audio."""
    audio, rate = soundfile.read(DATA / f"{name}.wav", dtype="int16")
    whole = np.interp(np.arange(len(audio) * BOT_RATE // rate) * rate / BOT_RATE, np.arange(len(audio)), audio)
    return at_level(whole.astype(np.int16), dbfs)


def sounding(heard):
    """Seconds in which a tone was heard, whatever pauses a busy machine made in it."""
    audible = 1 - 2 / np.pi * np.arcsin(200 / 8000)
    return len(heard.loud()) / heard.rate / audible


async def test_what_the_bot_says_is_heard_whole_and_announced_when_it_is_heard(sound_card):
    tries = []
    async with Talk(transport()) as talk:
        # The sound server of a busy machine may starve by itself, which is no device's fault each time.
        while len(tries) < 4 and not (tries and tries[-1].gaps() == []):
            with sound_card.recording() as heard:
                await talk.say(tone(1.0))
                await stops_told(talk, len(tries) + 1)
            assert sounding(heard) == pytest.approx(1.0, abs=0.005)
            tries.append(heard)
    loud = tries[-1].loud()
    assert tries[-1].gaps() == [], [heard.gaps() for heard in tries]
    assert loud[-1] - loud[0] == pytest.approx(1.0, abs=0.02)
    assert talk.mouth.times(BotStartedSpeakingFrame)[-1] == pytest.approx(loud[0], abs=SLACK)
    stopped = talk.mouth.times(BotStoppedSpeakingFrame)[-1]
    assert stopped == pytest.approx(loud[-1], abs=SLACK)
    assert stopped > loud[-1] - 0.03, "not before it was heard"


async def stops_told(talk, count):
    """Wait until the bot was told to have stopped so many times in all."""
    assert await until(lambda: len(talk.mouth.times(BotStoppedSpeakingFrame)) >= count, 20)
    await asyncio.sleep(0.4)


async def test_an_interruption_silences_the_speaker_and_what_comes_after_is_heard(sound_card):
    pauses = []
    async with Talk(transport()) as talk:
        with sound_card.recording() as heard:
            for count in range(1, 4):
                await talk.say(tone(6.0))
                await asyncio.sleep(0.5)
                at = await talk.interrupt()
                await stops_told(talk, count)
                pauses.append((at, time.monotonic()))
            await talk.say(tone(0.3))
            await stops_told(talk, 4)
    loud = heard.loud()
    for at, again in pauses:
        # A few hundredths, as `test_pacing` has it; seconds are for a busy machine, five would be left.
        assert loud[loud < again][-1] - at < 2.0
    assert len(loud[loud > pauses[-1][1]]) / heard.rate == pytest.approx(0.3, abs=0.01)
    started, stopped = (talk.mouth.times(kind) for kind in (BotStartedSpeakingFrame, BotStoppedSpeakingFrame))
    assert len(started) == len(stopped) == 4


async def test_a_stalled_event_loop_makes_no_gap(sound_card):
    # The default bridges a third of that, which is `test_pacing`'s; here the machine may stall the loop as well.
    local = transport(echo_cancel=False, output_ring_secs=1.0)
    async with Talk(local) as talk:
        with sound_card.recording() as heard:
            await talk.say(tone(2.5))
            await asyncio.sleep(0.2)
            for _ in range(10):
                time.sleep(0.1)  # noqa: ASYNC251 the stall under test
                await asyncio.sleep(0.1)
            assert await until(lambda: talk.mouth.times(BotStoppedSpeakingFrame), 20)
            await asyncio.sleep(0.2)
    assert sounding(heard) == pytest.approx(2.5, abs=0.01)
    # The sound server of a busy machine may starve by itself; the loop's ten stalls would make at least nine.
    assert local.stats.late_writes <= 2
    assert sum(gap > 0.01 for gap in heard.gaps()) <= 4


async def test_the_user_is_heard_with_capture_times_on_the_pipelines_clock(sound_card):
    async with Talk(transport(echo_cancel=False)) as talk:
        with sound_card.recording("va_air.monitor", 16_000) as air:
            sound_card.say(tone(0.5, 16_000))
            await asyncio.sleep(1.0)
        clock = talk.ears.get_clock().get_time() / 1e9 - time.monotonic()
        assert clock < 0
    spoken = air.loud()
    loud = [at for at, peak in talk.ears.microphone if peak > 300]
    assert loud[0] == pytest.approx(spoken[0], abs=SLACK)
    assert len(loud) * 0.02 == pytest.approx(0.5, abs=0.06)


async def test_the_tap_gets_both_directions_on_one_clock(sound_card):
    tap = Tap()
    async with Talk(transport(tap=tap)) as talk:
        with sound_card.recording() as heard:
            sound_card.say(tone(0.5, 16_000))
            await talk.say(tone(0.5))
            await asyncio.sleep(1.2)
    assert tap.loud("played") == pytest.approx((heard.loud()[0], heard.loud()[-1]), abs=SLACK)
    assert {rate for _, rate, _ in tap.blocks["played"]} == {BOT_RATE}
    assert {rate for _, rate, _ in tap.blocks["captured"]} == {16_000}
    first, last = tap.loud("captured")
    assert last - first == pytest.approx(0.5, abs=0.2)


async def test_the_bot_does_not_hear_itself_on_an_open_speaker(sound_card):
    from pipecat.audio.vad.silero import SileroVADAnalyzer
    from pipecat.frames.frames import VADUserStartedSpeakingFrame
    from pipecat.processors.audio.vad_processor import VADProcessor

    sound_card.open_speaker(Room(gain_db=0))
    local = transport()
    async with Talk(local, VADProcessor(vad_analyzer=SileroVADAnalyzer())) as talk:
        bot = speech("reading")[: 6 * BOT_RATE]
        await talk.say(bot)
        await until(lambda: talk.mouth.times(BotStoppedSpeakingFrame), 15)
        assert talk.ears.times(VADUserStartedSpeakingFrame) == []
        assert local.stats.echo.erle_db > 10
        # A user over the bot still gets through.
        await talk.say(bot)
        await asyncio.sleep(2.0)
        began = time.monotonic()
        sound_card.say(at_level(recording("question"), -22))
        assert await until(lambda: talk.ears.times(VADUserStartedSpeakingFrame, since=began), 5)
        await talk.interrupt()


async def test_without_cancelling_the_bot_does_hear_itself(sound_card):
    sound_card.open_speaker(Room(gain_db=0))
    async with Talk(transport(echo_cancel=False)) as talk:
        await talk.say(speech("reading")[: 4 * BOT_RATE])
        assert await until(lambda: talk.ears.loud(time.monotonic() - 1.0, time.monotonic()) > 0.3, 20)


async def test_an_echo_that_cannot_be_followed_closes_the_microphone_while_the_bot_speaks_and_says_so(sound_card):
    """A wireless loudspeaker that plays a second late: beyond what any canceller here can pair."""
    sound_card.open_speaker(Room(gain_db=0, delay_secs=1.0))
    local, told = transport(), []
    local.add_event_handler("on_half_duplex", collect(told))
    async with Talk(local) as talk:
        await talk.say(speech("reading")[: 14 * BOT_RATE])
        assert await until(lambda: told, 25)
        assert told == [True]
        assert local.stats.echo.half_duplex
        await asyncio.sleep(0.3)
        at = time.monotonic()
        await talk.interrupt()
        await asyncio.sleep(2.5)
        # The last words are still on their way.
        assert not any(np.abs(block).max() > 300 for when, block in talk.ears.blocks if at < when < at + 1.2)
        began = time.monotonic()
        sound_card.say(at_level(recording("question"), -22))
        assert await until(lambda: talk.ears.loud(began, time.monotonic()) > 0.2, 5), "the user is heard afterwards"


@pytest.mark.parametrize("device", ["microphone", "speaker"])
async def test_a_device_may_be_pulled_out_and_plugged_in_again(sound_card, device):
    local = transport(echo_cancel=False)
    problems, recovered = [], []
    local.add_event_handler("on_device_problem", collect(problems))
    local.add_event_handler("on_device_recovered", collect(recovered))
    async with Talk(local) as talk:
        sound_card.unplug(device)
        assert await until(lambda: problems, 10)
        await asyncio.sleep(0.5)
        sound_card.plug(device)
        assert await until(lambda: recovered and "“VirtualSpeaker”" in recovered[-1], 10), (problems, recovered)
        with sound_card.recording() as heard:
            began = time.monotonic()
            sound_card.say(tone(0.5, 16_000))
            await talk.say(tone(0.5))
            assert await until(lambda: talk.mouth.times(BotStoppedSpeakingFrame, since=began), 10)
            await asyncio.sleep(0.5)
        assert talk.ears.loud(began, began + 1) > 0.3, "the microphone is alive"
        assert len(heard.loud()) / heard.rate == pytest.approx(0.5, abs=0.03)
        # While it was away time went on for everything that counts audio.
        assert max(np.diff([at for at, _ in talk.ears.microphone])) < 1.0
    assert local.stats.reopened >= 1


async def test_the_rest_of_a_reply_is_heard_from_the_loudspeaker_that_is_chosen_meanwhile(sound_card):
    module = sound_card.add_sink("va_phones", "VirtualPhones")
    local = transport(echo_cancel=False)
    controls = TalkControls(cast(Any, None), cast(Any, None), Outcome(), transport=local)
    try:
        async with Talk(local) as talk:
            devices = await controls.devices()
            assert {"VirtualSpeaker", "VirtualPhones"} <= {choice.name for choice in devices}
            with sound_card.recording() as before, sound_card.recording("va_phones.monitor") as after:
                await talk.say(tone(4.0))
                await asyncio.sleep(1.0)
                controls.use(Choice("output", "VirtualPhones"))
                assert await until(lambda: talk.mouth.times(BotStoppedSpeakingFrame), 15)
                await asyncio.sleep(0.3)
    finally:
        sound_card.pactl("unload-module", module)
    first, second = (len(heard.loud()) / heard.rate for heard in (before, after))
    assert first > 0.5 and second > 0.5
    assert before.loud()[-1] < after.loud()[0] + SLACK, "never from both"
    assert first + second == pytest.approx(4.0, abs=1.0), "only what the first one still held is lost"


def collect(messages):
    async def handler(_, message):
        messages.append(message)

    return handler


async def test_the_reply_survives_the_death_of_the_sound_server(sound_card):
    tap = Tap()
    local = transport(echo_cancel=False, tap=tap)
    problems, recovered = [], []
    local.add_event_handler("on_device_problem", collect(problems))
    local.add_event_handler("on_device_recovered", collect(recovered))
    async with Talk(local) as talk:
        with sound_card.recording() as before:
            await talk.say(tone(3.0))
            await asyncio.sleep(1.0)
            sound_card.kill()
            assert await until(lambda: problems, 10)
        await asyncio.sleep(0.3)
        assert not talk.mouth.times(BotStoppedSpeakingFrame), "it has not finished"
        await asyncio.to_thread(sound_card.start)
        with sound_card.recording() as after:
            assert await until(lambda: talk.mouth.times(BotStoppedSpeakingFrame), 15)
            await asyncio.sleep(0.3)
        assert recovered
        began = time.monotonic()
        # Devices come back one by one, which may take a second opening.
        sound_card.say(tone(5.0, 16_000))
        assert await until(lambda: talk.ears.loud(began, time.monotonic()) > 0.1, 10)
    assert len(before.loud()) / before.rate > 0.5
    assert len(after.loud()) / after.rate > 0.5, "the rest is heard"
    played = sum((np.abs(samples.astype(int)) > 200).sum() for _, _, samples in tap.blocks["played"]) / BOT_RATE
    assert played > 2.8, "all of it was handed over; only what the dead device held is lost"


async def test_no_device_and_a_wrong_name_are_told_before_the_talk(sound_card):
    with pytest.raises(ConfigurationError, match="did you mean “VirtualMicrophone”"):
        await transport(input_device="VirtualMicrofone").open()
    with pytest.raises(ConfigurationError, match="no loudspeaker called “Kitchen”"):
        await transport(output_device="Kitchen").open()
    sound_card.unplug("microphone")
    with pytest.raises(ConfigurationError, match="There is no microphone"):
        await transport().open()


async def test_a_pipeline_without_a_microphone_ends_instead_of_running_deaf(sound_card):
    sound_card.unplug("microphone")
    talk = Talk(transport())
    errors = []

    @talk.worker.event_handler("on_pipeline_error")
    async def on_error(_, frame: ErrorFrame):
        errors.append(frame.error)

    async with talk:
        assert await until(lambda: talk.ended, 15)
    assert any("There is no microphone" in error for error in errors)


async def test_opened_before_the_pipeline_at_other_rates_it_fits_itself_to_the_pipeline(sound_card):
    local = transport(echo_cancel=False)
    await local.open()
    async with Talk(local, audio_in_sample_rate=8_000, audio_out_sample_rate=16_000) as talk:
        with sound_card.recording() as heard:
            began = len(talk.ears.captured)
            sound_card.say(tone(1.0, 16_000, frequency=330.0))
            await talk.say(tone(0.5))
            await stops_told(talk, 1)
            assert await until(lambda: len(talk.ears.captured) - began > 2 * 8_000, 10)
    # Pauses that a busy machine makes change no pitch, a wrong rate does.
    assert pitch(heard.samples, heard.rate) == pytest.approx(441.0, abs=10.0)
    captured = np.frombuffer(bytes(talk.ears.captured[began:]), np.int16)
    assert pitch(captured, 8_000) == pytest.approx(330.0, abs=10.0)


def pitch(samples, rate):
    """The loudest frequency in Hz."""
    return np.argmax(np.abs(np.fft.rfft(samples.astype(float)))) * rate / len(samples)


async def test_counters_come_as_metrics_after_each_reply(sound_card):
    async with Talk(transport()) as talk:
        await talk.say(tone(0.2))
        assert await until(lambda: metrics(talk), 10)
    values = metrics(talk)[0].value
    assert values["output_latency_secs"] == pytest.approx(0.05, abs=0.1)
    assert {"underruns", "late_writes", "dropped_secs", "queue_age_max_secs", "reopened", "echo"} <= set(values)
    assert {"erle_db", "reference_missing_secs", "half_duplex"} <= set(values["echo"])


def metrics(talk):
    frames = [seen.frame for seen in talk.mouth.seen if isinstance(seen.frame, MetricsFrame)]
    return [data for frame in frames for data in frame.data if isinstance(data, LocalAudioMetricsData)]
