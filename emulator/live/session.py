"""A Live session: the conversation the server holds, and the handles that bring it back (facts/live#lifetime)."""

import itertools
import math
import random
from dataclasses import dataclass, field

from halfcascade.emulator.live.errors import Refusal, invalid
from halfcascade.emulator.live.setup import Compression, SessionConfig
from halfcascade.emulator.live.usage import AUDIO_TOKENS_PER_SECOND, PICTURE_TOKENS, message_tokens
from halfcascade.emulator.minds.base import Message

HANDLE_LIFETIME = 2 * 3600.0
"""Seconds that a handle is good for after its session's connection ended (facts/live#lifetime)."""

# What is kept of sessions whose connection has ended, and of one session's handles: months of use must not fill memory.
_MOST_SESSIONS = 2_000
_MOST_HANDLES = 100

# Named in public code as what a dead or unknown handle gives.
_UNKNOWN_HANDLE = "Invalid session handle"
_EXPIRED_HANDLE = "BidiGenerateContent session not found"


@dataclass
class Session:
    """One conversation, which may outlive connections.

    Parameters:
        id: Number in the store.
        messages: History, exactly as the server holds it.
        started: When it began, in machine seconds.
        open_until: Until when a connection holds it.
        ended: When the last connection ended.
        over: Whether its time is up for good.
        instruction: System instruction of the first setup.
        calls: How many functions were called.
        handles: How many handles were given out.
        kept: The history as it was at the newest one.
        pictures: How many video frames and images the client has sent.
        issued: The newest handles, the oldest first.
    """

    id: int
    messages: list[Message] = field(default_factory=list)
    started: float = 0.0
    open_until: float = math.inf
    ended: float = 0.0
    over: bool = False
    instruction: str = ""
    calls: int = 0
    handles: int = 0
    kept: tuple[Message, ...] = ()
    pictures: int = 0
    issued: list[str] = field(default_factory=list)

    def new_call_id(self) -> str:
        """Name a function call, unlike any other of the session."""
        self.calls += 1
        digits = random.Random(f"{self.id}/{self.calls}").randrange(10**18, 10**19)  # noqa: S311 - a name, no secret
        return f"function-call-{digits}"

    def tokens(self, config: SessionConfig) -> dict[str, int]:
        """Count the context's tokens by modality."""
        counts = {"TEXT": message_tokens(config.system_instruction), "AUDIO": 0, "VIDEO": 0}
        for message in self.messages:
            if message.seconds:
                counts["AUDIO"] += math.ceil(message.seconds * AUDIO_TOKENS_PER_SECOND)
                continue
            modality = "AUDIO" if message.role == "model" and config.audio else "TEXT"
            counts[modality] += message_tokens(message.text, audio=modality == "AUDIO")
        counts["VIDEO"] = self.pictures * PICTURE_TOKENS
        return counts

    def compress(self, config: SessionConfig, compression: Compression) -> bool:
        """Slide the context window: cut whole turns off the front, at a user's turn (facts/live#lifetime).

        Returns:
            Whether anything was cut.
        """
        if sum(self.tokens(config).values()) < compression.trigger_tokens:
            return False
        cut = False
        while sum(self.tokens(config).values()) > compression.target_tokens:
            users = [index for index, message in enumerate(self.messages) if index and message.role == "user"]
            if not users:
                break
            del self.messages[: users[0]]
            cut = True
        return cut


@dataclass(frozen=True)
class _Snapshot:
    """What a handle stands for."""

    session: Session
    model_name: str
    messages: tuple[Message, ...]


class SessionStore:
    """The sessions of one server, shared by its connections."""

    def __init__(self, handle_lifetime: float = HANDLE_LIFETIME) -> None:
        """Make an empty store.

        Args:
            handle_lifetime: Seconds that a handle is good for after its connection ended.
        """
        self.handle_lifetime = handle_lifetime
        self._snapshots: dict[str, _Snapshot] = {}
        self._ids = itertools.count(1)
        # In the order in which they were last held by a connection.
        self._sessions: dict[int, Session] = {}

    @property
    def sessions(self) -> list[Session]:
        """The sessions that are open or can be resumed."""
        return list(self._sessions.values())

    def create(self, config: SessionConfig, now: float) -> Session:
        """Begin a session."""
        session = Session(next(self._ids), started=now, instruction=config.system_instruction)
        self._sessions[session.id] = session
        self._forget(now)
        return session

    def _forget(self, now: float) -> None:
        """Let go of what nobody can come back to, and of the oldest beyond what is kept."""
        closed = [session for session in self._sessions.values() if now >= session.open_until]
        excess = len(closed) - _MOST_SESSIONS
        for number, session in enumerate(closed):
            if number < excess or now > session.ended + self.handle_lifetime:
                self._drop(session)

    def _drop(self, session: Session) -> None:
        self._sessions.pop(session.id, None)
        for handle in session.issued:
            self._snapshots.pop(handle, None)

    def issue_handle(self, session: Session, config: SessionConfig) -> str:
        """Give out a handle for the conversation as it stands."""
        session.handles += 1
        handle = f"emulated-session-{session.id}-state-{session.handles}"
        # What did not change since the last handle is shared with it.
        session.kept = tuple(
            old if old == new else _copy(new)
            for old, new in itertools.zip_longest(session.kept[: len(session.messages)], session.messages)
        )
        self._snapshots[handle] = _Snapshot(session, config.model_name, session.kept)
        session.issued.append(handle)
        while len(session.issued) > _MOST_HANDLES:
            self._snapshots.pop(session.issued.pop(0), None)
        return handle

    def resume(self, config: SessionConfig, now: float) -> Session:
        """Bring a session back to the state that the setup's handle stands for.

        Args:
            config: The new connection's setup.
            now: Machine seconds.

        Returns:
            The session, connected. What happened after the handle was given out is lost (genai types:
            LiveServerSessionResumptionUpdate.resumable), also a reply that was under way.

        Raises:
            Refusal: 1007 or 1008 for a handle that is unknown or too old, 1007 for another model, 1011 while another
                connection holds the session (facts/live#lifetime).
        """
        snapshot = self._snapshots.get(config.handle)
        if snapshot is None:
            raise invalid(_UNKNOWN_HANDLE)
        session = snapshot.session
        if now < session.open_until:
            raise Refusal(1011, "Internal error encountered.")
        if session.over or now > session.ended + self.handle_lifetime:
            raise Refusal(1008, _EXPIRED_HANDLE)
        if snapshot.model_name != config.model_name:
            # The model is the one thing that may not change on resumption (facts/live#client-messages).
            raise invalid()
        session.messages = [_copy(message) for message in snapshot.messages]
        session.open_until = math.inf
        self._sessions[session.id] = self._sessions.pop(session.id, session)
        # A session's time is that of its connections.
        session.started = min(session.started + now - session.ended, now)
        return session

    def release(self, session: Session, now: float, notice_after: float = 0.0) -> None:
        """Note that a session's connection ended.

        Args:
            session: Whose.
            now: When.
            notice_after: Seconds after which the store notices.
        """
        session.open_until = now + notice_after
        session.ended = now
        if session.issued:
            self._sessions[session.id] = self._sessions.pop(session.id, session)
        else:
            self._drop(session)


def _copy(message: Message) -> Message:
    return Message(message.role, list(message.parts), message.seconds)
