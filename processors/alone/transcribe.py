"""The ears alone: sound in, words out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import soundfile
import soxr
from google.cloud import speech_v2
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.transcriptions.language import Language

from halfcascade.processors.alone.pipeline import AUDIO_RATE, Outlet, running
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.frames import SpeechCoveredFrame
from halfcascade.processors.google_stt.service import GoogleStreamingSTTService
from halfcascade.processors.turns.speech_detector import SpeechDetector

_CHUNK_SECS = 0.02
# Silence before the first sound: voice activity detection misses speech that has nothing before it.
_LEAD_SECS = 0.4
# Silence behind the last sound, so that the end of speech is noticed and the last stream half-closed.
_TAIL_SECS = 1.0
# After the end of the audio: how long a final may take that is still owed.
_LAST_FINAL_SECS = 10.0


@dataclass(frozen=True)
class Heard:
    """Words that were understood.

    Parameters:
        text: The words; of an interim all since the last final.
        final: Whether they stay as they are.
        start: Where their speech began, in seconds of the audio.
        end: Where it ended; of an interim, how much audio had been sent.
        language: Locale that was recognized, or "".
    """

    text: str
    final: bool
    start: float
    end: float
    language: str = ""


async def transcribe(
    audio: Path | str | np.ndarray | AsyncIterator[bytes],
    *,
    languages: Sequence[str] = ("en-US",),
    model: str = "chirp_3",
    location: str | None = None,
    client: speech_v2.SpeechAsyncClient | None = None,
    project: str | None = None,
) -> AsyncIterator[Heard]:
    """Listen to a recording, or to audio as it comes.

    A recording is played in real time, as Google asks for (facts/stt#requests), through the same detector and service
    as in a talk: a final comes whenever speech pauses.

    Args:
        audio: A sound file that libsndfile reads; an array of samples at 16 kHz (``int16``, or floats within ±1);
            or 16-bit mono PCM at 16 kHz as it comes.
        languages: Locales to listen for, or ``auto`` alone.
        model: Speech-to-Text v2 model.
        location: Location of the service, None for the one that serves the model.
        client: Speech-to-Text client, or None for one from the environment.
        project: Project of ``client``.

    Yields:
        Interim and final words.

    Raises:
        ConfigurationError: If audio, settings or credentials make no sense, or the service refuses for good.
    """
    chunks = _paced(read_samples(audio)) if isinstance(audio, Path | str | np.ndarray) else audio
    events: asyncio.Queue[Heard | ConfigurationError | None] = asyncio.Queue()
    follower = _Follower(events)
    ears = GoogleStreamingSTTService(
        client=client,
        project=project,
        location=location,
        settings=GoogleStreamingSTTService.Settings(model=model, languages=cast(list[Language], list(languages))),
    )

    def failed(message: str, permanent: bool) -> None:
        if permanent:
            events.put_nowait(ConfigurationError(message))

    async with running([SpeechDetector(), ears, Outlet(follower.take)], failed) as worker:

        async def feed() -> None:
            for part in (_silence(_LEAD_SECS), chunks, _silence(_TAIL_SECS)):
                async for chunk in part:
                    await worker.queue_frame(InputAudioRawFrame(chunk, AUDIO_RATE, 1))
            await follower.wait_until_covered(_LAST_FINAL_SECS)
            events.put_nowait(None)

        feeding = asyncio.create_task(feed(), name="audio for the ears")
        feeding.add_done_callback(lambda task: _report(task, events))
        try:
            while (heard := await events.get()) is not None:
                if isinstance(heard, ConfigurationError):
                    raise heard
                yield heard
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)


class _Follower:
    """Puts words beside the audio they are about: frames pass in step with it."""

    def __init__(self, events: asyncio.Queue[Heard | ConfigurationError | None]):
        self._events = events
        # Of the audio itself: the silence put before it lies before zero.
        self._secs = -_LEAD_SECS
        self._start: float | None = None
        self._end: float | None = None
        self._covered = asyncio.Event()
        self._covered.set()

    def take(self, frame: Frame) -> None:
        match frame:
            case InputAudioRawFrame():
                self._secs += frame.num_frames / frame.sample_rate
            case VADUserStartedSpeakingFrame():
                self._start = max(0.0, self._secs - frame.start_secs) if self._start is None else self._start
                self._end = None
                self._covered.clear()
            case VADUserStoppedSpeakingFrame():
                self._end = max(0.0, self._secs - frame.stop_secs)
            case InterimTranscriptionFrame():
                self._put(frame, final=False)
            case TranscriptionFrame():
                self._put(frame, final=True)
                if frame.finalized:
                    self._start, self._end = None, None
                    self._covered.set()
            case SpeechCoveredFrame():
                self._start, self._end = None, None
                self._covered.set()
            case _:
                pass

    async def wait_until_covered(self, secs: float) -> None:
        try:
            async with asyncio.timeout(secs):
                await self._covered.wait()
        except TimeoutError:
            error = "Speech-to-Text did not send the last words in time: check the network."
            self._events.put_nowait(ConfigurationError(error))

    def _put(self, frame: InterimTranscriptionFrame | TranscriptionFrame, *, final: bool) -> None:
        if text := frame.text.strip():
            end = max(0.0, self._secs) if self._end is None or not final else self._end
            start = min(end, self._start if self._start is not None else end)
            self._events.put_nowait(Heard(text, final, round(start, 2), round(end, 2), str(frame.language or "")))


def _report(task: asyncio.Task[None], events: asyncio.Queue[Heard | ConfigurationError | None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        events.put_nowait(
            error if isinstance(error, ConfigurationError) else ConfigurationError(f"The audio broke off: {error}.")
        )


def read_samples(audio: Path | str | np.ndarray) -> np.ndarray:
    """Read a sound as the ears want it.

    Args:
        audio: A sound file, or samples of 16 kHz.

    Returns:
        int16 samples of 16 kHz, mono.

    Raises:
        ConfigurationError: If it is not there, or no sound.
    """
    if isinstance(audio, np.ndarray):
        samples = audio
    else:
        try:
            samples, rate = soundfile.read(audio, dtype="float32", always_2d=True)
        except (OSError, soundfile.SoundFileError) as error:
            if not Path(audio).exists():
                raise ConfigurationError(f"{audio} does not exist: name a sound file such as a WAV.") from error
            raise ConfigurationError(f"{audio} cannot be read ({error}): name a sound file such as a WAV.") from error
        samples = soxr.resample(samples.mean(axis=1), rate, AUDIO_RATE)
    if np.issubdtype(samples.dtype, np.floating):
        samples = np.clip(np.nan_to_num(samples) * 32767, -32768, 32767)
    return samples.astype("<i2")


def _silence(secs: float) -> AsyncIterator[bytes]:
    return _paced(np.zeros(round(secs * AUDIO_RATE), dtype=np.int16))


async def _paced(samples: np.ndarray) -> AsyncIterator[bytes]:
    loop, size = asyncio.get_running_loop(), round(_CHUNK_SECS * AUDIO_RATE)
    begun = loop.time()
    for at in range(0, len(samples), size):
        yield samples[at : at + size].tobytes()
        await asyncio.sleep(max(0.0, begun + (at + size) / AUDIO_RATE - loop.time()))
