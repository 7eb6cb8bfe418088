"""One reply of the model: when which part of it goes out (facts/live#server-messages, #interruption, #transcripts)."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from halfcascade.emulator.live.usage import AUDIO_TOKENS_PER_SECOND, text_tokens
from halfcascade.emulator.minds.base import SPEAKER_RATE, FunctionCall, Message

_BYTES_PER_SECOND = 2 * SPEAKER_RATE
_CHUNK_BYTES = _BYTES_PER_SECOND // 5
_AUDIO_MIME = f"audio/pcm;rate={SPEAKER_RATE}"

PartKind = Literal["thought", "text", "transcript", "audio", "mark"]


@dataclass(frozen=True)
class Pace:
    """How a reply's parts follow each other, in seconds.

    Parameters:
        transcribe: Whether output transcriptions are sent.
        voice: Whether audio is sent.
        transcript_delay: From a piece's generation to its transcription.
        audio_delay: From a piece's transcription to its audio.
        transcript_lag: From a piece's audio to its transcription, negative = before it; overrides the two delays.
        audio_speed: How much faster than real time audio is sent; 0 = at once.
        chars_per_second: How fast the model's voice speaks.
        playback_paced: Whether the end of the turn waits for the imagined playback.
        vertex: Whether parts are written as Vertex writes them (facts/live#recorded).
        audio_last: Whether all audio comes after the finished transcript.
    """

    transcribe: bool = True
    voice: bool = True
    transcript_delay: float = 0.0
    audio_delay: float = 0.0
    transcript_lag: float | None = None
    audio_speed: float = 0.0
    chars_per_second: float = 15.0
    playback_paced: bool = False
    vertex: bool = False
    audio_last: bool = False


@dataclass(frozen=True)
class Part:
    """A part of a reply that goes out by itself.

    Parameters:
        at: When.
        kind: What.
        content: Its ``serverContent`` fields.
        covers: How many characters of the reply the client has been sent once this part is out.
        seconds: Of audio.
    """

    at: float
    kind: PartKind
    content: dict[str, Any]
    covers: int = 0
    seconds: float = 0.0


@dataclass
class Reply:
    """A reply under way.

    Parameters:
        number: Unique within the connection.
        pace: How its parts follow each other.
        not_before: When its first part may go out.
        say: Makes the audio of a piece; None = it comes through ``spoken``.
        message: What of it is in the history: as much as was sent, never more (facts/live#interruption).
        calls: Functions it calls.
        text: What was generated so far.
        transcript: What was transcribed to the client so far.
        sent_seconds: Seconds of audio sent.
        pieces_sent: Pieces of text or transcript sent.
        anything_sent: Whether the client has had any of it.
    """

    number: int
    pace: Pace
    not_before: float = 0.0
    say: Callable[[str], bytes] | None = None
    message: Message = field(default_factory=lambda: Message("model"))
    calls: list[FunctionCall] = field(default_factory=list)
    text: str = ""
    transcript: str = ""
    sent_seconds: float = 0.0
    pieces_sent: int = 0
    anything_sent: bool = False
    _covered: int = 0
    _audio_end: float = 0.0
    _last_part: float = 0.0
    _playback_start: float | None = None
    _spoken_seconds: float = 0.0
    _audio_from: float = 0.0
    _kept_back: bytes = b""

    def feed(self, piece: str, now: float) -> list[Part]:
        """Take a piece of text from the model.

        Args:
            piece: Text, with whatever spacing.
            now: When it was generated.

        Returns:
            The parts that carry it, with their times.
        """
        self.text += piece
        pace = self.pace
        now = max(now, self.not_before)
        if not pace.voice:
            at = self._in_order(now + pace.transcript_delay)
            if not pace.transcribe:
                return [Part(at, "text", {"modelTurn": self._turn({"text": piece})}, len(self.text))]
            return [self._transcript(at, piece)]
        transcript_at = now + pace.transcript_delay
        audio_at = max(self._audio_end, transcript_at + pace.audio_delay)
        if pace.transcript_lag is not None:
            audio_at = max(self._audio_end, now + max(0.0, -pace.transcript_lag))
            transcript_at = audio_at + pace.transcript_lag
        parts = [self._transcript(max(transcript_at, now), piece)] if pace.transcribe else []
        if self.say is not None and pace.audio_last:
            self._kept_back += self.say(piece)
        elif self.say is None:
            self._audio_from = audio_at
        else:
            parts += self._audio(audio_at, self.say(piece), len(self.text))
        return sorted(parts, key=lambda part: part.at)

    def rest(self, now: float) -> list[Part]:
        """Give what comes once everything was generated.

        Args:
            now: When that was.

        Returns:
            The end of a transcript that is marked, and the audio that was kept back for after it.
        """
        if not self.pace.audio_last or not self.text:
            return []
        at = self._in_order(max(now, self.not_before))
        parts = []
        if self.pace.transcribe and not self.calls:
            parts.append(Part(at, "mark", {"outputTranscription": {"finished": True}}))
        kept, self._kept_back = self._kept_back, b""
        return parts + self._audio(max(self._audio_end, at + self.pace.audio_delay), kept, len(self.text))

    def spoken(self, pcm: bytes, now: float) -> list[Part]:
        """Take audio of a speaker.

        Args:
            pcm: 16-bit mono at ``SPEAKER_RATE``.
            now: When it came.

        Returns:
            The parts that carry it.
        """
        at = max(now, self._audio_end, self._audio_from, self.not_before)
        # Which words it says is not known: as many as fit into its time.
        seconds = self._spoken_seconds + len(pcm) / _BYTES_PER_SECOND
        return self._audio(at, pcm, min(len(self.text), round(seconds * self.pace.chars_per_second)))

    def end(self, now: float) -> tuple[float, float]:
        """Note that the model has generated everything.

        Args:
            now: When.

        Returns:
            When generationComplete and when turnComplete is due.
        """
        complete = max(now, self.not_before, self._audio_end, self._last_part)
        playback_end = (self._playback_start or 0.0) + self._spoken_seconds
        return complete, max(complete, playback_end) if self.pace.playback_paced else complete

    def sent(self, part: Part) -> None:
        """Note that a part went out, so that the history holds it."""
        self.anything_sent = True
        self.sent_seconds += part.seconds
        if part.kind in ("text", "transcript"):
            self.pieces_sent += 1
        if part.kind == "transcript":
            self.transcript += part.content["outputTranscription"]["text"]
        self.keep(part.covers)

    def keep(self, covered: int | None = None) -> None:
        """Let the history hold the first characters of the text, or all of it."""
        self._covered = len(self.text) if covered is None else max(self._covered, covered)
        kept = self.text[: self._covered]
        others = [part for part in self.message.parts if not isinstance(part, str)]
        self.message.parts = [*([kept] if kept else []), *others]

    def tokens(self) -> dict[str, int]:
        """Count what was sent, by modality (facts/live#server-messages, #latency)."""
        if not self.pace.voice:
            return {"TEXT": text_tokens(self.message.text)}
        return {"TEXT": text_tokens(self.transcript), "AUDIO": round(self.sent_seconds * AUDIO_TOKENS_PER_SECOND)}

    def _transcript(self, at: float, piece: str) -> Part:
        if self.pace.transcript_lag is None or self.pace.transcript_lag <= 0:
            at = self._in_order(at)
        return Part(at, "transcript", {"outputTranscription": {"text": piece}}, len(self.text))

    def _audio(self, at: float, pcm: bytes, covers: int) -> list[Part]:
        parts = []
        if self._playback_start is None:
            self._playback_start = at
        self._spoken_seconds += len(pcm) / _BYTES_PER_SECOND
        for start in range(0, len(pcm), _CHUNK_BYTES):
            chunk = pcm[start : start + _CHUNK_BYTES]
            seconds = len(chunk) / _BYTES_PER_SECOND
            data = base64.b64encode(chunk).decode()
            mime = "audio/pcm" if self.pace.vertex else _AUDIO_MIME
            content = {"modelTurn": self._turn({"inlineData": {"mimeType": mime, "data": data}})}
            last = start + _CHUNK_BYTES >= len(pcm)
            parts.append(Part(at, "audio", content, covers if last else 0, seconds))
            at += seconds / self.pace.audio_speed if self.pace.audio_speed else 0.0
        self._audio_end = at
        return parts

    def _turn(self, *parts: dict[str, Any]) -> dict[str, Any]:
        return {"parts": list(parts), "role": "model"} if self.pace.vertex else {"parts": list(parts)}

    def _in_order(self, at: float) -> float:
        self._last_part = max(self._last_part, at)
        return self._last_part
