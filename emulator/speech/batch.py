"""The protocol of ``Recognize``, without I/O: one request, one response."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.cloud.speech_v2.types import cloud_speech

from halfcascade.emulator.actions import invalid
from halfcascade.emulator.minds.base import LISTENER_RATE, Hypothesis, RecognitionRequest, SpeechActivity
from halfcascade.emulator.speech.catalogue import BATCH_SECONDS
from halfcascade.emulator.speech.config import make_decoder, parse_recognition

_MOST_BYTES = 10 * 1024 * 1024  # v2 quotas: 10 MB inline


@dataclass(frozen=True)
class BatchJob:
    """A checked batch request.

    Parameters:
        request: For the mind.
        pcm: The whole audio at the listener's rate.
    """

    request: RecognitionRequest
    pcm: bytes

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return len(self.pcm) / (2 * LISTENER_RATE)


def parse_batch(request: Any) -> BatchJob:
    """Check and decode a request.

    Args:
        request: ``RecognizeRequest`` protobuf.

    Returns:
        What to recognize.

    Raises:
        RequestError: If the API refuses it.
    """
    settings = parse_recognition(request.recognizer, request.config)
    decoder = make_decoder(request.config)
    if request.WhichOneof("audio_source") != "content":
        raise invalid("The emulator holds no Cloud Storage: send the audio as content.")
    if len(request.content) > _MOST_BYTES:
        raise invalid(f"Request payload size exceeds the limit: {_MOST_BYTES} bytes.")
    job = BatchJob(settings.request, decoder.decode(request.content) + decoder.flush())
    if job.seconds > BATCH_SECONDS:
        raise invalid(
            f"Audio can be of a maximum of {BATCH_SECONDS:.0f} seconds. Received audio of {job.seconds:.0f} seconds."
        )
    return job


def batch_response(job: BatchJob, events: Sequence[Hypothesis | SpeechActivity], request_id: str) -> Any:
    """Make the response.

    Args:
        job: What was recognized.
        events: All the listener found.
        request_id: For the metadata.

    Returns:
        ``RecognizeResponse`` protobuf with the finals.
    """
    response = cloud_speech.RecognizeResponse.pb()()
    for event in events:
        if isinstance(event, Hypothesis) and event.is_final:
            result = response.results.add()
            alternative = result.alternatives.add()
            alternative.transcript = event.text
            alternative.confidence = event.confidence
            result.language_code = event.language_code
            result.result_end_offset.FromNanoseconds(round(event.end * 1e9))
    response.metadata.request_id = request_id
    response.metadata.total_billed_duration.seconds = -(-len(job.pcm) // (2 * LISTENER_RATE))
    return response
