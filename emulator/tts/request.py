"""Checks what clients ask Text-to-Speech for."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.cloud.texttospeech_v1.types import cloud_tts

from halfcascade.emulator.actions import invalid
from halfcascade.emulator.limits import TtsLimits
from halfcascade.emulator.minds.base import SPEAKER_RATE, SynthesisRequest
from halfcascade.emulator.tts.catalogue import choose_voice
from halfcascade.emulator.tts.encoding import Encoder, FileEncoder, RawEncoder

AudioEncoding: Any = cloud_tts.AudioEncoding
_Phonetic = cloud_tts.CustomPronunciationParams.PhoneticEncoding

_RATES = range(8_000, 48_001)
_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
_SPEAKING_RATES = (0.25, 2.0)  # facts/tts#voices
_STREAMED = (AudioEncoding.PCM, AudioEncoding.ALAW, AudioEncoding.MULAW)
_FILES = {
    AudioEncoding.LINEAR16: ("WAV", "PCM_16"),
    AudioEncoding.ALAW: ("WAV", "ALAW"),
    AudioEncoding.MULAW: ("WAV", "ULAW"),
    AudioEncoding.MP3: ("MP3", "MPEG_LAYER_III"),
    AudioEncoding.OGG_OPUS: ("OGG", "OPUS"),
}
# Google gives no lengths for its pause tags; these are the emulator's own, in seconds.
_PAUSES = {"[pause short]": 0.25, "[pause]": 0.5, "[pause long]": 1.0}
_PAUSE_TAG = re.compile(r"(\[pause(?: short| long)?\])")
_BREAK = re.compile(r"(<break\b[^>]*>|<mark\b[^>]*>)")
_MARK = re.compile(r"<mark\b[^>]*name\s*=\s*[\"']([^\"']*)[\"'][^>]*>")
_BREAK_TIME = re.compile(r"time\s*=\s*[\"']([\d.]+)(ms|s)[\"']")


@dataclass(frozen=True)
class Pause:
    """Silence that a client asked for.

    Parameters:
        seconds: Its length.
    """

    seconds: float


@dataclass(frozen=True)
class Mark:
    """A place whose time a client wants to know (SSML ``<mark>``).

    Parameters:
        name: Its name.
    """

    name: str


@dataclass(frozen=True)
class Turn:
    """What one of several speakers says.

    Parameters:
        text: The words.
        voice: Full voice name; "" = that of the request.
    """

    text: str
    voice: str = ""


Piece = str | Pause | Mark | Turn


@dataclass(frozen=True)
class StreamVoice:
    """What a stream or call was configured to.

    Parameters:
        request: For the mind.
        encoding: Wanted encoding.
        sample_rate: Wanted samples per second.
        gemini: Whether a Gemini TTS model speaks, which takes prompts and several speakers.
        speakers: Voices of several speakers by alias.
    """

    request: SynthesisRequest
    encoding: Any
    sample_rate: int
    gemini: bool = False
    speakers: Mapping[str, str] = field(default_factory=dict)

    def stream_encoder(self) -> Encoder:
        """Make an encoder for a stream of pieces."""
        if self.encoding == AudioEncoding.OGG_OPUS:
            return FileEncoder("OGG", "OPUS", self.sample_rate)
        return RawEncoder(self.encoding.name, self.sample_rate)

    def encode_whole(self, pcm: bytes) -> bytes:
        """Encode a whole reply, with the header its encoding has.

        Args:
            pcm: 16-bit mono PCM at ``SPEAKER_RATE``.

        Returns:
            The file; headerless for PCM.
        """
        if self.encoding in _FILES:
            return FileEncoder(*_FILES[self.encoding], self.sample_rate).whole(pcm)
        raw = RawEncoder("PCM", self.sample_rate)
        return raw.encode(pcm) + raw.flush()


def parse_stream_config(config: Any) -> StreamVoice:
    """Check the first message of a stream.

    Args:
        config: ``StreamingSynthesizeConfig`` protobuf.

    Returns:
        What was asked for.

    Raises:
        RequestError: If the API refuses it.
    """
    voice = choose_voice(config.voice, streaming=True)
    audio = config.streaming_audio_config
    encoding = AudioEncoding(audio.audio_encoding) if audio.audio_encoding else AudioEncoding.PCM
    if encoding != AudioEncoding.OGG_OPUS and encoding not in _STREAMED:
        raise invalid(f"Unsupported audio encoding {encoding.name}: streaming supports PCM, ALAW, MULAW and OGG_OPUS.")
    check_pronunciations(config.custom_pronunciations)
    rate = _speaking_rate(audio.speaking_rate)
    return StreamVoice(
        SynthesisRequest(voice.name, voice.language_code, rate),
        encoding,
        _sample_rate(audio.sample_rate_hertz, encoding),
        voice.gemini,
        voice.speakers,
    )


def parse_batch_config(request: Any) -> StreamVoice:
    """Check voice and audio config of a ``SynthesizeSpeechRequest``.

    Args:
        request: The protobuf.

    Returns:
        What was asked for.

    Raises:
        RequestError: If the API refuses it.
    """
    voice = choose_voice(request.voice, streaming=False)
    audio = request.audio_config
    if not audio.audio_encoding:
        raise invalid("Audio encoding must be set.")
    encoding = AudioEncoding(audio.audio_encoding)
    if encoding not in _FILES and encoding != AudioEncoding.PCM:
        raise invalid(f"Audio encoding {encoding.name} is not emulated.")
    if voice.chirp_3_hd and audio.pitch:
        raise invalid("This voice does not support pitch parameters at this time.")
    rate = _speaking_rate(audio.speaking_rate)
    return StreamVoice(
        SynthesisRequest(voice.name, voice.language_code, rate),
        encoding,
        _sample_rate(audio.sample_rate_hertz, encoding),
        voice.gemini,
        voice.speakers,
    )


def parse_batch_input(source: Any, voice: StreamVoice, limits: TtsLimits) -> list[Piece]:
    """Check a ``SynthesisInput``.

    Args:
        source: The protobuf.
        voice: What the request was configured to.
        limits: What is enforced.

    Returns:
        Texts, pauses, marks and turns, in order.

    Raises:
        RequestError: If the API refuses it.
    """
    check_pronunciations(source.custom_pronunciations)
    _check_prompt(source, voice, limits)
    kind = source.WhichOneof("input_source")
    if kind == "multi_speaker_markup":
        return _turns(source.multi_speaker_markup, voice, limits)
    if kind not in ("text", "markup", "ssml"):
        raise invalid("Input must contain text, markup or ssml.")
    content = getattr(source, kind)
    _check_length(content, limits)
    if kind == "ssml":
        return _ssml_pieces(content)
    return split_pauses(content) if kind == "markup" else [content]


def parse_stream_input(source: Any, voice: StreamVoice, limits: TtsLimits) -> list[str | Pause]:
    """Check a ``StreamingSynthesisInput``.

    Args:
        source: The protobuf.
        voice: What the stream was configured to.
        limits: What is enforced.

    Returns:
        Texts and pauses, in order.

    Raises:
        RequestError: If the API refuses it.
    """
    _check_prompt(source, voice, limits)
    kind = source.WhichOneof("input_source")
    if kind == "multi_speaker_markup":
        return [turn.text for turn in _turns(source.multi_speaker_markup, voice, limits) if isinstance(turn, Turn)]
    if kind is None:
        raise invalid("Input must contain text or markup.")
    content = getattr(source, kind)
    _check_length(content, limits)
    return split_pauses(content) if kind == "markup" else [content]


def _check_prompt(source: Any, voice: StreamVoice, limits: TtsLimits) -> None:
    if source.prompt and not voice.gemini:
        raise invalid("Prompt is only supported for Gemini TTS.")
    _check_length(source.prompt, limits)


def _turns(markup: Any, voice: StreamVoice, limits: TtsLimits) -> list[Piece]:
    if not voice.gemini and "MultiSpeaker" not in voice.request.voice:
        raise invalid("Multi-speaker markup is only supported for Gemini TTS.")
    if voice.gemini and (unknown := {turn.speaker for turn in markup.turns} - set(voice.speakers)):
        raise invalid(f"Speaker '{sorted(unknown)[0]}' has no voice in multi_speaker_voice_config.")
    _check_length("".join(turn.text for turn in markup.turns), limits)
    return [Turn(turn.text, voice.speakers.get(turn.speaker, "")) for turn in markup.turns]


def split_pauses(markup: str) -> list[Any]:
    """Cut markup at its pause tags (facts/tts#voices).

    Args:
        markup: Text with ``[pause short]``, ``[pause]`` and ``[pause long]``.

    Returns:
        Texts and pauses, in order.
    """
    pieces: list[Any] = []
    for piece in _PAUSE_TAG.split(markup):
        if piece in _PAUSES:
            pieces.append(Pause(_PAUSES[piece]))
        elif piece.strip():
            pieces.append(piece)
    return pieces


def check_pronunciations(pronunciations: Any) -> None:
    """Check custom pronunciations.

    Args:
        pronunciations: ``CustomPronunciations`` protobuf.

    Raises:
        RequestError: If one lacks a phrase, an encoding or a pronunciation, or a phrase comes twice.
    """
    seen = set()
    for entry in pronunciations.pronunciations:
        if not entry.phrase or not entry.pronunciation:
            raise invalid("Custom pronunciations must contain a phrase and a pronunciation.")
        if entry.phonetic_encoding == _Phonetic.PHONETIC_ENCODING_UNSPECIFIED:
            raise invalid(f"Custom pronunciation of '{entry.phrase}' must contain a phonetic encoding.")
        if entry.phrase in seen:
            raise invalid(f"Custom pronunciations contain '{entry.phrase}' more than once.")
        seen.add(entry.phrase)


def silence(seconds: float) -> bytes:
    """Make silence at the speaker's rate."""
    return bytes(2 * round(seconds * SPEAKER_RATE))


def _check_length(content: str, limits: TtsLimits) -> None:
    if len(content.encode()) > limits.text_bytes:
        raise invalid(
            f"Either `input.text` or `input.ssml` is longer than the limit of {limits.text_bytes} bytes. This limit is "
            "different from quotas. To fix, reduce the byte length of the characters in this request."
        )


def _speaking_rate(rate: float) -> float:
    least, most = _SPEAKING_RATES
    if rate and not least <= rate <= most:
        raise invalid(f"Invalid speaking rate {rate:g}: it must be between {least} and {most}.")
    return rate or 1.0


def _sample_rate(rate: int, encoding: Any) -> int:
    if not rate:
        return SPEAKER_RATE
    if rate not in (_OPUS_RATES if encoding == AudioEncoding.OGG_OPUS else _RATES):
        raise invalid(f"Unsupported sample rate {rate} for {encoding.name}: the emulator resamples from 8000 to 48000.")
    return rate


def _ssml_pieces(ssml: str) -> list[Piece]:
    """Reduce SSML to texts, pauses and marks; prosody and the like are not emulated."""
    if not re.match(r"\s*<speak\b", ssml):
        raise invalid("Invalid SSML. Newer voices like Neural2 require valid SSML.")
    pieces: list[Piece] = []
    for piece in _BREAK.split(ssml):
        if piece.startswith("<break"):
            time = _BREAK_TIME.search(piece)
            pieces.append(Pause(float(time[1]) / (1000 if time[2] == "ms" else 1) if time else _PAUSES["[pause]"]))
        elif mark := _MARK.fullmatch(piece):
            pieces.append(Mark(mark[1]))
        elif text := html.unescape(re.sub(r"<[^>]*>", " ", piece)).strip():
            pieces.append(text)
    return pieces
