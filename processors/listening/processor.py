"""The thin shell of the listening sounds: frames in, sound for the output transport out."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    OutputAudioRawFrame,
    TTSAudioRawFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from halfcascade.processors.frames import (
    ListeningSoundFrame,
    PauseJudgedFrame,
    SpeechOnsetFrame,
    SpeechPausedFrame,
    SpeechResumedFrame,
    TurnReopenedFrame,
)
from halfcascade.processors.listening.machine import ListeningMachine
from halfcascade.processors.timed_phrases import TimedPhrases

Sound = Callable[[str], Awaitable[bytes]]

# Half the loudness of the voice: to be noticed, not to be listened to.
_GAIN = 0.5
# Output transports cut audio into chunks of this length by default; what does not fill one would wait for the next.
_CHUNK_SECS = 0.04
# Handed over so far ahead of being heard, so that little is left to be heard when the user goes on.
_LEAD_SECS = 0.04
_FADE_SECS = 0.02


class ListeningProcessor(TimedPhrases[ListeningMachine]):
    """Makes a listening sound in a pause of the user's turn. Stands between voice and output transport.

    The sound is plain ``OutputAudioRawFrame``s, handed over little by little: output transports play it, cancel its
    echo and record it, but take it for no speech of the bot, so there is nothing that a user could interrupt, no turn
    begins or ends, and no context hears of it. Pipecat's ``BotBackchannelFrame`` is spoken by the voice as any other
    text and makes the bot a speaker, over whom barge-in would judge what the user goes on to say.
    """

    def __init__(self, machine: ListeningMachine, sound: Sound, *, sample_rate: int):
        """Initialize.

        Args:
            machine: Decides.
            sound: Gives the sound of a phrase, 16-bit mono PCM, or b"" if there is none:
                ``ChirpTTSService.phrase_sound``.
            sample_rate: Of those sounds.
        """
        super().__init__(machine, machine.sounds, enable_direct_mode=True)
        self._sound = sound
        self._rate = sample_rate
        self._sounds: dict[str, bytes] = {}
        self._playing: asyncio.Task[None] | None = None
        self._next_chunk = b""

    async def _note(self, frame: Frame) -> bool:
        machine, now = self._machine, self._now()
        match frame:
            case PauseJudgedFrame():
                machine.judged(frame.goes_on, now + frame.secs_left)
            case VADUserStartedSpeakingFrame():
                await self._user_sounds(now - frame.start_secs)
            case SpeechOnsetFrame() | SpeechResumedFrame():
                await self._user_sounds(now - frame.secs)
            case VADUserStoppedSpeakingFrame():
                machine.user_silent(now - frame.stop_secs)
            case SpeechPausedFrame():
                machine.user_silent(now - frame.secs)
            case UserStartedSpeakingFrame():
                machine.turn_open()
            case TurnReopenedFrame():
                machine.turn_open(again=True)
            case UserStoppedSpeakingFrame():
                machine.turn_over()
            case TTSAudioRawFrame() | BotStartedSpeakingFrame():
                machine.bot_sounds(True)
                await self._stop()
            case BotStoppedSpeakingFrame():
                machine.bot_sounds(False)
            case InterruptionFrame():
                machine.bot_sounds(False)
                await self._stop()
            case _:
                return False
        return True

    async def _user_sounds(self, since: float) -> None:
        if self._machine.user_sounds(since):
            await self._stop()

    async def _say(self, text: str) -> None:
        await self._stop()
        self._playing = self.create_task(self._play(text))

    async def _play(self, text: str) -> None:
        await self.push_frame(ListeningSoundFrame(text))
        pcm, size = self._sounds[text], 2 * round(_CHUNK_SECS * self._rate)
        began, given = self._now(), 0.0
        for start in range(0, len(pcm), size):
            await self._hand_over(pcm[start : start + size])
            self._next_chunk = pcm[start + size : start + 2 * size]
            given += _CHUNK_SECS
            if (ahead := began + given - self._now()) > _LEAD_SECS:
                await asyncio.sleep(ahead - _LEAD_SECS)

    async def _stop(self) -> None:
        """Let a sound that is being made fade away."""
        task, self._playing = self._playing, None
        if task is None:
            return
        rest, self._next_chunk = self._next_chunk, b""
        if not task.done():
            await self.cancel_task(task)
            if rest:
                await self._hand_over(_faded(rest, round(_FADE_SECS * self._rate)))

    async def _hand_over(self, pcm: bytes) -> None:
        await self.push_frame(OutputAudioRawFrame(pcm, self._rate, 1))

    async def _make_ready(self) -> None:
        secs: dict[str, float] = {}
        for text in self._machine.sounds:
            if pcm := await self._sound(text):
                self._sounds[text] = _quiet(pcm, 2 * round(_CHUNK_SECS * self._rate))
                secs[text] = len(pcm) / 2 / self._rate
                self._machine.ready(dict(secs))
        if len(secs) < len(self._machine.sounds):
            logger.warning(f"{len(self._machine.sounds) - len(secs)} listening sounds could not be made.")

    async def _end(self) -> None:
        await self._stop()
        await super()._end()


def _quiet(pcm: bytes, size: int) -> bytes:
    """Half as loud, in whole chunks of ``size`` bytes."""
    samples = np.rint(np.frombuffer(pcm[: len(pcm) & ~1], dtype="<i2") * _GAIN).astype("<i2").tobytes()
    return samples + bytes(-len(samples) % size)


def _faded(pcm: bytes, fade: int) -> bytes:
    """The first ``fade`` samples becoming silent, then silence of the same length in all."""
    samples = np.frombuffer(pcm, dtype="<i2")
    gains = np.clip(1.0 - np.arange(len(samples)) / fade, 0.0, 1.0)
    return np.rint(samples * gains).astype("<i2").tobytes()
