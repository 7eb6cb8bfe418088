"""Measures the voice on the user's own account: how soon it begins, and what lies between two pieces."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from google.cloud import texttospeech_v1 as tts
from pipecat.utils.errors import ErrorCategory

from halfcascade.processors.chirp_tts.boundaries import last_word_end, sentence_ends
from halfcascade.processors.chirp_tts.errors import SynthesisError, synthesis_error
from halfcascade.processors.chirp_tts.settings import (
    SAMPLE_RATE,
    ChirpTTSSettings,
    streaming_config,
    synthesis_input,
)
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.google_calls import unmasked
from halfcascade.processors.language import phrases

MEASURE_SECS = 50.0
"""How long all of it may take."""

_REPEATS = 3
# The second input of a stream is held back this long: audio before it shows that the first is not kept waiting.
_HOLD_SECS = 1.5
# Less than this, of the loudest, is silence; and shorter stretches of it are parts of words.
_SILENT = 0.02
_WINDOW = SAMPLE_RATE // 100
_LEAST_PAUSE_SECS = 0.05


@dataclass(frozen=True)
class VoiceMeasures:
    """What a voice does.

    Parameters:
        fragment: Seconds to the first audio of a word or two, each try.
        clause: The same of half a sentence.
        sentence: The same of a whole one.
        speaks_at_once: Whether the first of two inputs in one stream is spoken before the second has come; None if
            the stream was refused.
        pause_in_one_input: Seconds of silence between two sentences given as one input.
        pause_in_one_stream: The same given as two inputs of one stream; None if that was refused.
        silence_apart: Seconds of silence that two calls leave: at the end of one and at the beginning of the next.
    """

    fragment: Sequence[float]
    clause: Sequence[float]
    sentence: Sequence[float]
    speaks_at_once: bool | None
    pause_in_one_input: float
    pause_in_one_stream: float | None
    silence_apart: float

    @property
    def typical(self) -> float:
        """Seconds to the first audio of a reply's first piece, usually."""
        return statistics.median([*self.fragment, *self.clause])

    @property
    def slowest(self) -> float:
        """The longest of all."""
        return max([*self.fragment, *self.clause, *self.sentence])


def samples(locale: str) -> tuple[str, str, str, str]:
    """Texts to measure with, which a talk says too.

    Args:
        locale: Of the voice.

    Returns:
        A fragment, half a sentence, a sentence, and another sentence.
    """
    known = phrases(locale)
    text = known.offline or known.apology
    # Thai and its neighbours mark no ends of sentences.
    end = next((boundary.end for boundary in sentence_ends(text, locale, closed=True)), len(text))
    sentence, other = text[:end].strip(), text[end:].strip() or known.apology
    half = last_word_end(sentence[: len(sentence) * 2 // 3], locale) or len(sentence) // 2
    fragment = last_word_end(sentence[: len(sentence) // 3], locale) or len(sentence) // 3
    return sentence[:fragment].strip(), sentence[:half].strip(), sentence, other


async def measure_synthesis(client: tts.TextToSpeechAsyncClient, settings: ChirpTTSSettings) -> VoiceMeasures:
    """Have a few short texts spoken, in at most ``MEASURE_SECS``.

    Args:
        client: The client.
        settings: Complete settings.

    Returns:
        What was measured.

    Raises:
        ConfigurationError: If the voice does not speak, or not in time.
    """
    try:
        async with asyncio.timeout(MEASURE_SECS):
            return await _measure(client, settings)
    except Exception as error:
        raise ConfigurationError(synthesis_error(error, str(settings.voice)).reason) from error


async def _measure(client: tts.TextToSpeechAsyncClient, settings: ChirpTTSSettings) -> VoiceMeasures:
    fragment, clause, sentence, other = samples(settings.locale)
    first: dict[str, list[float]] = {fragment: [], clause: [], sentence: []}
    for _ in range(_REPEATS):
        # In turns, so that a slow minute tells against all of them.
        for text, took in first.items():
            took.append((await _said(client, settings, [text]))[0][0])
    alone = [_audio(await _said(client, settings, [text])) for text in (sentence, other)]
    together = _audio(await _said(client, settings, [f"{sentence} {other}"]))
    at_once: bool | None = None
    in_stream: float | None = None
    # A service that takes one input in a stream refuses the second.
    with suppress(SynthesisError):
        began = await _said(client, settings, [sentence, other], hold=_HOLD_SECS)
        at_once = began[0][0] < _HOLD_SECS
        in_stream = longest_pause(_audio(await _said(client, settings, [sentence, other])))
    apart = edges(alone[0])[1] + edges(alone[1])[0]
    return VoiceMeasures(
        first[fragment], first[clause], first[sentence], at_once, longest_pause(together), in_stream, apart
    )


async def _said(
    client: tts.TextToSpeechAsyncClient, settings: ChirpTTSSettings, inputs: Sequence[str], hold: float = 0.0
) -> list[tuple[float, bytes]]:
    """Have inputs spoken in one stream; audio with the seconds since the first input was sent."""
    sent_at = time.monotonic()

    async def requests() -> AsyncIterator[tts.StreamingSynthesizeRequest]:
        nonlocal sent_at
        yield tts.StreamingSynthesizeRequest(streaming_config=streaming_config(settings))
        sent_at = time.monotonic()
        for number, text in enumerate(inputs):
            if number:
                await asyncio.sleep(hold)
            yield tts.StreamingSynthesizeRequest(input=synthesis_input(settings, text))

    async def ask() -> list[tuple[float, bytes]]:
        call = await client.streaming_synthesize(requests=requests())
        return [(time.monotonic() - sent_at, each.audio_content) async for each in call if each.audio_content]

    try:
        found = await unmasked(ask)
    except Exception as error:
        raise synthesis_error(error, str(settings.voice)) from error
    if not found:
        raise SynthesisError("Text-to-Speech gave no audio: check the voice.", ErrorCategory.APPLICATION)
    return found


def _audio(found: Sequence[tuple[float, bytes]]) -> bytes:
    return b"".join(chunk for _, chunk in found)


def _silent(pcm: bytes) -> np.ndarray:
    """For each hundredth of a second, whether nothing is heard."""
    samples = np.abs(np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.int32))
    loudest = samples[: len(samples) // _WINDOW * _WINDOW].reshape(-1, _WINDOW).max(axis=1, initial=0)
    silent: np.ndarray = loudest <= _SILENT * max(1, int(loudest.max(initial=0)))
    return silent


def edges(pcm: bytes) -> tuple[float, float]:
    """Measure the silence at the beginning and at the end of speech.

    Args:
        pcm: 16-bit mono at ``SAMPLE_RATE``.

    Returns:
        Both, in seconds.
    """
    silent = _silent(pcm)
    heard = np.flatnonzero(~silent)
    if not len(heard):
        return len(silent) / 100, 0.0
    return float(heard[0]) / 100, float(len(silent) - 1 - heard[-1]) / 100


def longest_pause(pcm: bytes) -> float:
    """Measure the longest silence within speech.

    Args:
        pcm: 16-bit mono at ``SAMPLE_RATE``.

    Returns:
        Seconds; 0.0 if there is none of ``_LEAST_PAUSE_SECS``.
    """
    heard = np.flatnonzero(~_silent(pcm))
    longest = float(np.diff(heard).max(initial=1) - 1) / 100
    return longest if longest >= _LEAST_PAUSE_SECS else 0.0
