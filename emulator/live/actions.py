"""What the machine of a connection asks its shell to do."""

from dataclasses import dataclass
from typing import Any

from halfcascade.emulator.minds.base import Conversation, RecognitionRequest


@dataclass(frozen=True)
class Send:
    """Send a message to the client.

    Parameters:
        message: JSON object.
    """

    message: dict[str, Any]


@dataclass(frozen=True)
class Think:
    """Ask the thinker, and feed its pieces back.

    Parameters:
        reply: Number of the reply the pieces belong to.
        conversation: What to continue.
    """

    reply: int
    conversation: Conversation


@dataclass(frozen=True)
class StopThinking:
    """Cancel a generation; it may have ended already.

    Parameters:
        reply: Number of its reply.
    """

    reply: int


@dataclass(frozen=True)
class Listen:
    """Begin to recognize an utterance, and feed back what is found.

    Parameters:
        stream: Number of the utterance.
        request: How it shall be recognized.
    """

    stream: int
    request: RecognitionRequest


@dataclass(frozen=True)
class Hear:
    """Hand audio of an utterance to the listener.

    Parameters:
        stream: Its number.
        pcm: 16-bit mono at the listener's rate.
    """

    stream: int
    pcm: bytes


@dataclass(frozen=True)
class Hush:
    """Tell the listener that an utterance is over.

    Parameters:
        stream: Its number.
    """

    stream: int


@dataclass(frozen=True)
class Speak:
    """Have a piece of a reply spoken, and feed the audio back.

    Parameters:
        reply: Number of the reply.
        text: What is said; "" = nothing more comes.
        voice: Name of the voice.
        language_code: Locale, or "".
    """

    reply: int
    text: str
    voice: str
    language_code: str


@dataclass(frozen=True)
class Close:
    """Close the connection after what was sent before.

    Parameters:
        code: Websocket close code; None = break it without a close frame, so that the client sees 1006.
        reason: Close reason.
    """

    code: int | None
    reason: str = ""


Action = Send | Think | StopThinking | Listen | Hear | Hush | Speak | Close
