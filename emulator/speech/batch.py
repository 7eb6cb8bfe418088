"""Recognition of whole recordings, without I/O: what is asked for, and how results are written."""

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.cloud.speech_v2.types import cloud_speech

from halfcascade.emulator.actions import invalid
from halfcascade.emulator.minds.base import LISTENER_RATE, Hypothesis, SpeechActivity
from halfcascade.emulator.speech.config import make_decoders, parse_recognition
from halfcascade.emulator.speech.decoding import Decoder
from halfcascade.emulator.speech.dialect import StreamSettings, fill_alternatives
from halfcascade.emulator.speech.v1 import Protos, parse_config
from halfcascade.emulator.speech.v1 import make_decoders as make_v1_decoders

MOST_BYTES = 10 * 1024 * 1024
"""v2 quotas: 10 MB inline."""


@dataclass(frozen=True)
class BatchJob:
    """A checked request, with its audio.

    Parameters:
        settings: How it shall be recognized.
        pcm: The whole audio at the listener's rate, one for each channel that is recognized apart.
    """

    settings: StreamSettings
    pcm: Sequence[bytes]

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return len(self.pcm[0]) / (2 * LISTENER_RATE)


def v2_job(recognizer: str, config: Any, audio: bytes, longest: float) -> BatchJob:
    """Check and decode a request of v2.

    Args:
        recognizer: Resource name.
        config: ``RecognitionConfig`` protobuf, the stored recognizer's already under it.
        audio: As the client sent it.
        longest: Most seconds of it.

    Raises:
        RequestError: If the API refuses it.
    """
    settings = parse_recognition(recognizer, config)
    return _job(settings, make_decoders(config), audio, longest)


def v1_job(config: Any, audio: bytes, longest: float, protos: Protos) -> BatchJob:
    """Check and decode a request of v1 or v1p1beta1.

    Args:
        config: ``RecognitionConfig`` protobuf.
        audio: As the client sent it.
        longest: Most seconds of it.
        protos: Messages of the version.

    Raises:
        RequestError: If the API refuses it.
    """
    return _job(parse_config(config), make_v1_decoders(config, protos), audio, longest)


def _job(settings: StreamSettings, decoders: Sequence[Decoder], audio: bytes, longest: float) -> BatchJob:
    job = BatchJob(settings, [decoder.decode(audio) + decoder.flush() for decoder in decoders])
    if job.seconds > longest:
        raise invalid(
            f"Audio can be of a maximum of {longest:.0f} seconds. Received audio of {job.seconds:.0f} seconds. For "
            "longer audio use the long-running method."
        )
    return job


def v2_response(job: BatchJob, events: Sequence[Hypothesis | SpeechActivity]) -> Any:
    """Make the ``RecognizeResponse`` of v2.

    Args:
        job: What was recognized.
        events: All that the listener found.
    """
    response = cloud_speech.RecognizeResponse.pb()()
    for final in _finals(events):
        result = response.results.add()
        fill_alternatives(result, final.text, final, job.settings)
        result.result_end_offset.FromNanoseconds(round(final.end * 1e9))
    response.metadata.request_id = str(uuid.uuid4())
    response.metadata.total_billed_duration.seconds = math.ceil(job.seconds)
    return response


def v2_transcript(response: Any) -> Any:
    """Make the ``BatchRecognizeResults`` of a file out of its ``RecognizeResponse``."""
    transcript = cloud_speech.BatchRecognizeResults.pb()()
    transcript.results.extend(response.results)
    transcript.metadata.total_billed_duration.CopyFrom(response.metadata.total_billed_duration)
    return transcript


def v1_response(job: BatchJob, events: Sequence[Hypothesis | SpeechActivity], kind: Any) -> Any:
    """Make the response of v1 or v1p1beta1.

    Args:
        job: What was recognized.
        events: All that the listener found.
        kind: ``RecognizeResponse`` or ``LongRunningRecognizeResponse`` of the version.
    """
    response = kind.pb()()
    for final in _finals(events):
        result = response.results.add()
        fill_alternatives(result, final.text, final, job.settings)
        result.language_code = result.language_code.lower()
        result.result_end_time.FromNanoseconds(round(final.end * 1e9))
    if job.settings.diarization and response.results:
        # Who said what is told of all words in the last result (speech v1 proto: SpeakerDiarizationConfig).
        every = [word for result in response.results for word in result.alternatives[0].words]
        last = response.results[-1].alternatives[0]
        copies = [type(word).FromString(word.SerializeToString()) for word in every]
        del last.words[:]
        last.words.extend(copies)
    # v1 bills in steps of 15 seconds.
    response.total_billed_time.seconds = math.ceil(job.seconds / 15) * 15
    response.request_id = uuid.uuid4().int % 2**62
    return response


def _finals(events: Sequence[Hypothesis | SpeechActivity]) -> list[Hypothesis]:
    return [event for event in events if isinstance(event, Hypothesis) and event.is_final]
