"""What the machine of a connection asks its shell to do."""

from dataclasses import dataclass
from typing import Any

from halfcascade.emulator.minds.base import Conversation


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
class Close:
    """Close the connection after what was sent before.

    Parameters:
        code: Websocket close code; None = break it without a close frame, so that the client sees 1006.
        reason: Close reason.
    """

    code: int | None
    reason: str = ""


Action = Send | Think | StopThinking | Close
