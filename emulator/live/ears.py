"""The user's voice in a Live session: when it speaks and what it says, without I/O."""

import base64
import binascii
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from halfcascade.emulator.actions import RequestError
from halfcascade.emulator.live.actions import Hear, Hush, Listen
from halfcascade.emulator.live.activity import ActivityDetector
from halfcascade.emulator.live.context import LiveContext
from halfcascade.emulator.live.errors import invalid
from halfcascade.emulator.minds.base import LISTENER_RATE, Hypothesis, RecognitionRequest, SpeechActivity
from halfcascade.emulator.speech.decoding import AutoDecoder, Decoder, RawDecoder

_BYTES_PER_SECOND = 2 * LISTENER_RATE
# What is kept of the audio before an activity, so that its first sound is heard too.
_PRE_ROLL = round(0.5 * _BYTES_PER_SECOND)
_RAW = re.compile(r"audio/(?:x-)?(?:pcm|l16|raw)\b(?:.*?rate=(\d+))?", re.IGNORECASE)
_RATES = range(8_000, 48_001)


@dataclass
class Utterance:
    """One stretch of speech.

    Parameters:
        stream: Number of its recognition.
        on_said: Called with its words and its seconds once they are known.
        texts: What was understood so far, in order.
        bytes: Audio that went to the listener.
        shown: Whether its words go to the client as ``inputTranscription``.
        interim: The last interim that was told.
    """

    stream: int
    on_said: Callable[[str, float, float], None]
    texts: list[str] = field(default_factory=list)
    bytes: int = 0
    shown: bool = True
    interim: str = ""


class Ears:
    """Takes audio, finds where somebody speaks, and has it recognized."""

    def __init__(
        self,
        context: LiveContext,
        *,
        on_begin: Callable[[float], None],
        on_said: Callable[[str, float, float], None],
    ) -> None:
        """Listen to a connection.

        Args:
            context: What the parts of a connection share.
            on_begin: Called when somebody begins to speak, with the time.
            on_said: Called with the words, the seconds of audio, and the time.
        """
        self._context = context
        self._on_begin = on_begin
        self._on_said = on_said
        self._settings = context.config.activity
        self._detector = ActivityDetector(self._settings)
        self._decoders: dict[int, Decoder] = {}
        self._before = bytearray()
        self._numbers = itertools.count(1)
        self._open: Utterance | None = None
        self._pending: dict[int, Utterance] = {}

    @property
    def busy(self) -> bool:
        """Whether somebody speaks, or what was said is not understood yet."""
        return self._open is not None or bool(self._pending)

    def audio(self, blob: dict[str, Any], now: float) -> int:
        """Take a piece of the microphone.

        Args:
            blob: ``mimeType`` and base64 ``data``.
            now: Clock reading.

        Returns:
            How many bytes it was.

        Raises:
            Refusal: If it is no PCM audio.
        """
        data = decoded(blob, "realtime_input.audio.data")
        pcm = self._decoder(blob.get("mimeType", "")).decode(data)
        if not self._settings.automatic:
            self._take(pcm)
            return len(data)
        # Piece by piece, so that what one long message holds is heard like many short ones.
        step = _BYTES_PER_SECOND // 50
        for start in range(0, len(pcm), step):
            piece = pcm[start : start + step]
            events = self._detector.feed(piece)
            self._take(piece)
            for event in events:
                if event == "begin":
                    self._begin(now)
                else:
                    self._end()
        return len(data)

    def activity_start(self, now: float) -> None:
        """Somebody begins to speak, the client says; automatic detection ignores it (facts/live#interruption)."""
        if not self._settings.automatic and self._open is None:
            self._before.clear()
            self._begin(now)

    def activity_end(self) -> None:
        """The client says that it is over."""
        if not self._settings.automatic:
            self._end()

    def stream_end(self) -> None:
        """The microphone was switched off: what was said so far is all."""
        if self._settings.automatic:
            self._detector.reset()
            self._end()
            self._before.clear()

    def transcribe(self, blob: dict[str, Any], on_said: Callable[[str, float, float], None]) -> None:
        """Have audio recognized that came as a part of the conversation.

        Args:
            blob: ``mimeType`` and base64 ``data``: PCM, or a file that libsndfile reads.
            on_said: Called with the words, the seconds of audio, and the time.

        Raises:
            Refusal: If it cannot be decoded.
        """
        try:
            pcm = audio_file(blob)
        except RequestError as error:
            raise invalid(error.text) from error
        utterance = self._listen(on_said, shown=False)
        self._hear(utterance, pcm)
        self._context.output.do(Hush(utterance.stream))

    def heard(self, stream: int, event: Hypothesis | SpeechActivity, now: float) -> None:
        """Take what the listener found in an utterance."""
        utterance = self._pending.get(stream)
        if utterance is None or isinstance(event, SpeechActivity):
            return
        config, output = self._context.config, self._context.output
        told = utterance.shown and config.input_transcription
        if not event.is_final:
            text = event.text + event.tail
            if told and config.model.interim_input and text != utterance.interim:
                utterance.interim = text
                output.content({"interimInputTranscription": {"text": text}})
            return
        text = f" {event.text}" if utterance.texts else event.text
        utterance.texts.append(text)
        if told:
            output.content({"inputTranscription": {"text": text}})

    def heard_all(self, stream: int, now: float) -> None:
        """Note that the listener has said everything about an utterance."""
        utterance = self._pending.pop(stream, None)
        if utterance is None:
            return
        if self._open is utterance:
            # The listener gave up before the user did.
            self._open = None
        text = "".join(utterance.texts).strip()
        if text and utterance.shown and self._context.config.input_transcription and self._context.surface == "vertex":
            self._context.output.content({"inputTranscription": {"finished": True}})
        utterance.on_said(text, utterance.bytes / _BYTES_PER_SECOND, now)

    def _begin(self, now: float) -> None:
        if self._open is not None:
            return
        self._open = self._listen(self._on_said)
        self._hear(self._open, bytes(self._before))
        self._before.clear()
        self._on_begin(now)

    def _end(self) -> None:
        if self._open is not None:
            self._context.output.do(Hush(self._open.stream))
            self._open = None

    def _listen(self, on_said: Callable[[str, float, float], None], *, shown: bool = True) -> Utterance:
        config = self._context.config
        languages = config.input_languages or ([config.language_code] if config.language_code else ["auto"])
        utterance = Utterance(next(self._numbers), on_said, shown=shown)
        self._pending[utterance.stream] = utterance
        interims = shown and config.input_transcription and config.model.interim_input
        request = RecognitionRequest(languages, config.model.name, interim_results=interims)
        self._context.output.do(Listen(utterance.stream, request))
        return utterance

    def _take(self, pcm: bytes) -> None:
        if self._open is not None:
            self._hear(self._open, pcm)
            return
        self._before += pcm
        if not self._settings.covers_all:
            del self._before[: max(0, len(self._before) - _PRE_ROLL)]

    def _hear(self, utterance: Utterance, pcm: bytes) -> None:
        if pcm:
            utterance.bytes += len(pcm)
            self._context.output.do(Hear(utterance.stream, pcm))

    def _decoder(self, mime: str) -> Decoder:
        match = _RAW.match(mime) if mime else None
        rate = int((match[1] if match else None) or LISTENER_RATE)
        if (mime and match is None) or rate not in _RATES:
            raise invalid(f"Unsupported audio format {mime!r}: send audio/pcm;rate=16000.")
        if rate not in self._decoders:
            self._decoders[rate] = RawDecoder("LINEAR16", rate, 1)
        return self._decoders[rate]


def _raw_decoder(mime: str) -> Decoder | None:
    match = _RAW.match(mime)
    if match is None:
        return None
    rate = int(match[1] or LISTENER_RATE)
    if rate not in _RATES:
        raise invalid(f"Unsupported sample rate {rate}.")
    return RawDecoder("LINEAR16", rate, 1)


def audio_file(blob: dict[str, Any]) -> bytes:
    """Decode a blob that holds a whole recording: PCM, or a file that libsndfile reads.

    Args:
        blob: ``mimeType`` and base64 ``data``.

    Returns:
        16-bit mono PCM at ``LISTENER_RATE``.

    Raises:
        Refusal: If it is no base64, or its sample rate is out of range.
        RequestError: If it is no audio that is known.
    """
    data = decoded(blob, "parts.inline_data.data")
    decoder = _raw_decoder(blob.get("mimeType", "")) or AutoDecoder()
    return decoder.decode(data) + decoder.flush()


def decoded(blob: dict[str, Any], where: str) -> bytes:
    """Decode a blob's base64, either alphabet, padded or not.

    Args:
        blob: ``data``.
        where: Name of the field, for the refusal.

    Raises:
        Refusal: 1007, if it is none.
    """
    text = blob.get("data", "")
    try:
        plain = text.encode("ascii").translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, UnicodeEncodeError, ValueError) as error:
        raise invalid(f"Invalid value at '{where}' (TYPE_BYTES), Base64 decoding failed") from error
