"""Measurements on the virtual sound card, of any audio transport."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from pipecat.frames.frames import BotStoppedSpeakingFrame, VADUserStartedSpeakingFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_transport import BaseTransport

from bench.audio_scenes import USER_DBFS, at_level, bot_utterances, recording
from halfcascade.transports.resample import StreamResampler
from tests.audio_harness import BOT_RATE, Talk, tone, until
from tests.virtual_audio import Room, VirtualAudio

MakeTransport = Callable[[], BaseTransport]

_LONG_SECS = 12.0
_BARGE_INS = ("no_wait", "actually", "question", "hold_on", "weather", "timer")


@dataclass
class Gaps:
    """Silences inside twelve seconds of tone.

    Parameters:
        count: How many, longer than 4 ms.
        total_secs: How long together.
    """

    count: int
    total_secs: float


@dataclass
class OpenSpeaker:
    """A live conversation on an open loudspeaker.

    Parameters:
        utterances: Of the bot.
        false_starts: In how many the detector took the bot for the user.
        barge_ins: Utterances of the user over the bot.
        found: How many were noticed.
        delays: Seconds until they were.
    """

    utterances: int = 0
    false_starts: int = 0
    barge_ins: int = 0
    found: int = 0
    delays: list[float] = field(default_factory=list)


@dataclass
class Recovery:
    """After a device or the sound server was gone for a second.

    Parameters:
        microphone_secs: Until the microphone gave sound again, or None.
        speaker_secs: Until the loudspeaker gave sound again, or None.
        reply_kept: Share of the reply that was heard in all.
    """

    microphone_secs: float | None
    speaker_secs: float | None
    reply_kept: float


async def gaps(audio: VirtualAudio, make: MakeTransport, *, block_secs: float = 0.0, threads: int = 0) -> Gaps:
    """Play a tone in one burst while something gets in the way.

    Args:
        audio: The sound card.
        make: Makes the transport.
        block_secs: How long the event loop is blocked, five times a second.
        threads: Busy Python threads beside it.

    Returns:
        The silences in what was heard.
    """
    over = threading.Event()
    busy = [threading.Thread(target=_spin, args=(over,), daemon=True) for _ in range(threads)]
    async with Talk(make()) as talk:
        await asyncio.sleep(0.5)
        with audio.recording() as heard:
            for thread in busy:
                thread.start()
            await talk.say(tone(_LONG_SECS))
            until_at = time.monotonic() + _LONG_SECS
            while time.monotonic() < until_at:
                if block_secs:
                    time.sleep(block_secs)  # noqa: ASYNC251 - the stall that is measured
                await asyncio.sleep(0.2 - block_secs)
            over.set()
            await until(lambda: bool(talk.mouth.times(BotStoppedSpeakingFrame)), 15)
            await asyncio.sleep(0.3)
    found = heard.gaps(400)
    return Gaps(len(found), sum(found))


async def stop_latency(audio: VirtualAudio, make: MakeTransport, count: int = 12) -> tuple[list[float], list[float]]:
    """Interrupt a tone.

    Args:
        audio: The sound card.
        make: Makes the transport.
        count: How often.

    Returns:
        Seconds from saying until sound, and from each interruption until silence at the loudspeaker.
    """
    said: list[tuple[float, float]] = []
    async with Talk(make()) as talk:
        await asyncio.sleep(0.5)
        with audio.recording() as heard:
            for turn in range(count):
                began = time.monotonic()
                await talk.say(tone(4.0))
                await asyncio.sleep(0.8 + 0.0137 * turn)
                said.append((began, await talk.interrupt()))
                await asyncio.sleep(0.5)
    loud = heard.loud(400)
    starts, stops = [], []
    for began, stopped in said:
        mine = loud[(loud > began) & (loud < stopped + 0.48)]
        if len(mine):
            starts.append(float(mine[0] - began))
            stops.append(float(mine[-1] - stopped))
    return starts, stops


async def open_speaker(
    audio: VirtualAudio, make: MakeTransport, detector: FrameProcessor, utterances: int, gain_db: float
) -> OpenSpeaker:
    """Let the bot speak in a room with a detector listening, every second time with a user over it.

    Args:
        audio: The sound card.
        make: Makes the transport.
        detector: Detects voice activity.
        utterances: Of the bot alone; as many again are spoken over.
        gain_db: Level of the echo against what is played; the user is as loud as the echo at -6 dB.

    Returns:
        What the detector made of it.
    """
    result = OpenSpeaker()
    bots = [_bot_audio(utterance) for utterance in bot_utterances()]
    audio.open_speaker(Room(gain_db=gain_db))
    try:
        async with Talk(make(), detector) as talk:
            await asyncio.sleep(0.5)
            for turn in range(utterances):
                bot = bots[turn % len(bots)]
                result.utterances += 1
                result.false_starts += bool(await _bot_alone(talk, bot))
                await _barge_in(audio, talk, bot, _BARGE_INS[turn % len(_BARGE_INS)], result)
    finally:
        audio.close_room()
    return result


async def unplugged(audio: VirtualAudio, make: MakeTransport) -> Recovery:
    """Pull the microphone out for a second while the bot speaks."""
    return await _recovery(
        audio, make, down=lambda: audio.unplug("microphone"), up=lambda: audio.plug("microphone"), server=False
    )


async def server_death(audio: VirtualAudio, make: MakeTransport) -> Recovery:
    """Kill the sound server for a second while the bot speaks."""
    return await _recovery(audio, make, down=audio.kill, up=audio.start, server=True)


async def _recovery(
    audio: VirtualAudio, make: MakeTransport, *, down: Callable[[], None], up: Callable[[], None], server: bool
) -> Recovery:
    reply_secs = 6.0
    async with Talk(make()) as talk:
        await asyncio.sleep(0.5)
        with audio.recording() as before:
            await talk.say(tone(reply_secs))
            await asyncio.sleep(1.5)
            await asyncio.to_thread(down)
            await asyncio.sleep(1.0)
            if not server:
                back = await asyncio.to_thread(_timed, up)
                user = audio.say(_reading(8.0))
                await asyncio.sleep(reply_secs + 1.0)
        heard_again = None
        loud = len(before.loud(400))
        if server:
            back = await asyncio.to_thread(_timed, up)
            user = audio.say(_reading(8.0))
            with audio.recording() as after:
                await asyncio.sleep(reply_secs + 1.0)
            sound = after.loud(400)
            loud += len(sound)
            heard_again = float(sound[0] - back) if len(sound) else None
        user.join(10)
        again = [at for at, block in talk.ears.blocks if at > back and _holds_voice(block)]
    return Recovery(
        # A handful of blocks is what a dying stream still gave.
        microphone_secs=again[0] - back if len(again) > 50 else None,
        speaker_secs=heard_again,
        reply_kept=min(1.0, loud / before.rate / reply_secs),
    )


def _reading(seconds: float) -> np.ndarray:
    return np.clip(at_level(recording("reading"), -20.0), -32768, 32767).astype(np.int16)[: int(seconds * 16_000)]


def _holds_voice(block: np.ndarray) -> bool:
    """Whether there is more than the bot's tone in a block: a stream moved to the loudspeaker's monitor hears that."""
    spectrum = np.abs(np.fft.rfft(block * np.hanning(len(block))))
    frequency = np.fft.rfftfreq(len(block), 1 / 16_000)
    return bool(spectrum[(frequency < 250) | (frequency > 650)].max(initial=0) > 5000)


def _timed(function: Callable[[], None]) -> float:
    function()
    return time.monotonic()


async def _bot_alone(talk: Talk, bot: np.ndarray) -> int:
    began = time.monotonic()
    await talk.say(bot)
    await until(lambda: bool(talk.mouth.times(BotStoppedSpeakingFrame, since=began)), 15)
    await asyncio.sleep(0.8)
    return len(talk.ears.times(VADUserStartedSpeakingFrame, since=began))


async def _barge_in(audio: VirtualAudio, talk: Talk, bot: np.ndarray, name: str, result: OpenSpeaker) -> None:
    await talk.say(bot)
    await asyncio.sleep(2.0)
    user = at_level(recording(name), USER_DBFS).astype(np.int16)
    spoken = time.monotonic()
    with audio.recording("va_air.monitor", 16_000):  # keeps the microphone's latency low while it is measured
        audio.say(user)
        result.barge_ins += 1
        if await until(
            lambda: bool(talk.ears.times(VADUserStartedSpeakingFrame, since=spoken)), len(user) / 16_000 + 0.5
        ):
            result.found += 1
            result.delays.append(talk.ears.times(VADUserStartedSpeakingFrame, since=spoken)[0] - spoken)
        await talk.interrupt()
    await asyncio.sleep(1.5)


def _bot_audio(utterance: np.ndarray) -> np.ndarray:
    return StreamResampler(16_000, BOT_RATE).process(np.clip(utterance, -32768, 32767).astype(np.int16))


def _spin(over: threading.Event) -> None:
    number = 1
    while not over.is_set():
        number = number * 31 % 1_000_003
