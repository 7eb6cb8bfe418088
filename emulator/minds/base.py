"""What the protocols need from whatever listens, thinks and speaks behind them.

A mind knows nothing of gRPC, websockets, limits or error codes: the protocol machines enforce those. It is fed decoded
input and yields results as they come. Nothing here may block the event loop: engines compute in threads or processes.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.minds.words import WordTiming

# Audio crosses this boundary as 16-bit little-endian mono PCM at these rates, whatever the client sent or wants.
LISTENER_RATE = 16_000
SPEAKER_RATE = 24_000


class MindError(EmulatorError):
    """A mind cannot do what a request asks for, such as hear a language it does not know.

    Raised when a stream begins, or by its results. The message is one line for a person: cause, then remedy.
    """


@dataclass(frozen=True)
class RecognitionRequest:
    """How a stream wants to be recognized.

    Parameters:
        language_codes: As the client sent them; ``["auto"]`` leaves the choice to the mind.
        model: Model name.
        interim_results: Whether non-final hypotheses are wanted.
        phrases: Phrase hints (adaptation).
        endpointing: How soon a pause closes a portion (facts/stt#endpointing).
    """

    language_codes: Sequence[str]
    model: str
    interim_results: bool = False
    phrases: Sequence[str] = ()
    endpointing: Literal["standard", "short", "supershort"] = "standard"


@dataclass(frozen=True)
class Hypothesis:
    """Recognized text for a portion of the stream's audio.

    Parameters:
        text: The words.
        is_final: Whether this portion is closed.
        start: Where the portion begins, in seconds of audio since the stream began.
        end: Where it ends.
        stability: 0.0 to 1.0, interims only.
        confidence: 0.0 to 1.0, finals only; 0.0 when unknown.
        language_code: What was heard.
        tail: Interims only: the less stable rest of the text, reported as a result of its own (facts/stt#results).
        words: Finals only: the words with their times in seconds of stream audio, where they are known.
        alternatives: Finals only: other readings, the likelier first.
        channel: Which channel of the client's audio it was heard in, from 1; 0 = they were not told apart.
    """

    text: str
    is_final: bool
    start: float
    end: float
    stability: float = 0.0
    confidence: float = 0.0
    language_code: str = ""
    tail: str = ""
    words: Sequence[WordTiming] = ()
    alternatives: Sequence[str] = ()
    channel: int = 0


@dataclass(frozen=True)
class SpeechActivity:
    """Speech began or ended.

    Parameters:
        kind: Which of the two.
        offset: Seconds of audio since the stream began.
    """

    kind: Literal["begin", "end"]
    offset: float


class Recognition(Protocol):
    """One recognition stream."""

    async def audio(self, pcm: bytes) -> None:
        """Take audio: 16-bit mono at ``LISTENER_RATE``."""

    async def finish(self) -> None:
        """The client half-closed: flush what is pending as finals, then end ``results``."""

    def results(self) -> AsyncIterator[Hypothesis | SpeechActivity]:
        """Yield results as they come; ends after ``finish`` has flushed."""

    async def close(self) -> None:
        """Give everything up at once."""


class Listener(Protocol):
    """Turns speech into text."""

    def recognize(self, request: RecognitionRequest) -> Recognition:
        """Begin a stream.

        Raises:
            MindError: None of the languages can be heard.
        """


@dataclass(frozen=True)
class SynthesisRequest:
    """How a stream wants to be spoken.

    Parameters:
        voice: Full voice name, such as ``en-US-Chirp3-HD-Charon``.
        language_code: Locale.
        speaking_rate: 0.25 to 2.0.
    """

    voice: str
    language_code: str
    speaking_rate: float = 1.0


class Synthesis(Protocol):
    """One synthesis stream."""

    async def text(self, text: str) -> None:
        """Take one input, in order."""

    async def finish(self) -> None:
        """The client half-closed: speak what is pending, then end ``audio``."""

    def audio(self) -> AsyncIterator[bytes]:
        """Yield 16-bit mono PCM at ``SPEAKER_RATE`` as it comes."""

    async def close(self) -> None:
        """Give everything up at once."""


class Speaker(Protocol):
    """Turns text into speech."""

    def synthesize(self, request: SynthesisRequest) -> Synthesis:
        """Begin a stream.

        Raises:
            MindError: The language cannot be spoken.
        """


@dataclass(frozen=True)
class FunctionCall:
    """A call the model makes.

    Parameters:
        name: Function name.
        args: Arguments.
        id: Call id; the protocol fills it in when empty.
    """

    name: str
    args: dict[str, Any]
    id: str = ""


@dataclass(frozen=True)
class FunctionResult:
    """What the client answered to a call.

    Parameters:
        name: Function name.
        response: The client's JSON object.
        id: Call id.
    """

    name: str
    response: dict[str, Any]
    id: str = ""


@dataclass
class Message:
    """One entry of a Live session's history, exactly as the server holds it.

    Parameters:
        role: Who said it.
        parts: Text, calls and results, in order.
        seconds: Of audio in which a user said it; 0.0 = it was written.
    """

    role: Literal["user", "model"]
    parts: list[str | FunctionCall | FunctionResult] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return "".join(part for part in self.parts if isinstance(part, str))


@dataclass
class Conversation:
    """What a thinker is asked to continue.

    Parameters:
        messages: History; the last entry is what must be answered (user text or function results).
        system_instruction: Setup instruction, or "".
        tools: Function declarations as sent (name, description, parameters or parametersJsonSchema, behavior).
        model: Model name as in the setup.
        language_code: Locale of the setup's speech config, or "".
    """

    messages: list[Message]
    system_instruction: str = ""
    tools: Sequence[dict[str, Any]] = ()
    model: str = ""
    language_code: str = ""


class Thinker(Protocol):
    """Answers a conversation."""

    def think(self, conversation: Conversation) -> AsyncIterator[str | FunctionCall]:
        """Yield pieces of the reply as they come, and calls to declared functions.

        After a call the iterator ends; the results arrive as a new conversation. Closing the iterator (``aclose``)
        cancels the generation at once.
        """


@dataclass
class Mind:
    """A listener, a thinker and a speaker that serve one emulator.

    Parameters:
        listener: Behind Speech-to-Text.
        thinker: Behind Gemini Live.
        speaker: Behind Text-to-Speech.
    """

    listener: Listener
    thinker: Thinker
    speaker: Speaker

    async def start(self) -> None:
        """Load what must be loaded before the first request."""

    async def close(self) -> None:
        """Release engines."""
