"""One connection of the Live API as a state machine without I/O.

It is fed the client's frames, the thinker's pieces and clock readings, and returns actions: messages to send,
generations to start and stop, a close. Times are seconds on any one clock that all connections of a ``SessionStore``
share.
"""

import functools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from halfcascade.emulator.live.actions import Action
from halfcascade.emulator.live.agenda import Agenda
from halfcascade.emulator.live.context import LiveContext
from halfcascade.emulator.live.errors import Refusal, deadline, invalid
from halfcascade.emulator.live.faults import FaultScript, GoAway
from halfcascade.emulator.live.models import Surface
from halfcascade.emulator.live.output import Output
from halfcascade.emulator.live.schema import normalize
from halfcascade.emulator.live.session import Session, SessionStore
from halfcascade.emulator.live.setup import parse_setup
from halfcascade.emulator.live.tokens import Token
from halfcascade.emulator.live.turns import Turns
from halfcascade.emulator.live.voice import Silence, Voice
from halfcascade.emulator.minds.base import FunctionCall, Hypothesis, SpeechActivity
from halfcascade.emulator.profiles import ThinkerProfile
from halfcascade.emulator.web.versions import Version, find_version

_KINDS = ("setup", "clientContent", "realtimeInput", "toolResponse", "contextUpdate")


@dataclass(frozen=True)
class Limits:
    """How long things last, in seconds (facts/live#lifetime).

    Parameters:
        connection: A connection.
        notice: goAway comes this long before a connection's end.
        uncompressed_session: A session without context window compression, over all its connections.
        session: A session with it: the 58-minute close.
        handle: A handle, after its connection ended.
    """

    connection: float = 600.0
    notice: float = 50.0
    uncompressed_session: float = 900.0
    session: float = 58 * 60.0
    handle: float = 7200.0

    def scaled(self, clock_scale: float) -> "Limits":
        """Give the same limits on a clock that runs faster.

        Args:
            clock_scale: Seconds of the limits' clock in one second of everything else.
        """
        return Limits(**{item.name: getattr(self, item.name) / clock_scale for item in fields(self)})


class LiveMachine:
    """The server's side of one connection."""

    def __init__(
        self,
        store: SessionStore,
        profile: ThinkerProfile,
        script: FaultScript | None = None,
        *,
        surface: Surface = "developer",
        version: str = "v1beta",
        limits: Limits | None = None,
        voice: Voice | None = None,
        token: Token | None = None,
    ) -> None:
        """Wait for a client's setup.

        Args:
            store: Sessions, shared by all connections of a server.
            profile: Latencies.
            script: Faults, shared likewise.
            surface: Which API was called.
            version: API version of the path.
            limits: How long things last.
            voice: How the model sounds; None = silent.
            token: Ephemeral token that the client came with.

        Raises:
            ValueError: If there is no such version.
        """
        row = find_version("vertex" if surface == "vertex" else "gemini", version)
        if row is None:
            raise ValueError(f"{version!r} is no version of the Live API")
        self._row: Version = row
        self._voice = voice or Silence()
        self._token = token
        self._store = store
        self._profile = profile
        self._script = script or FaultScript()
        self._surface = surface
        self._version = version
        self._limits = limits or Limits()
        self._agenda = Agenda()
        self._output = Output(self._script)
        self._context: LiveContext | None = None
        self._turns: Turns | None = None
        self._ready = False
        self._gone = False
        self._announced_resumable = False
        self._early: list[tuple[str, dict[str, Any]]] = []
        self._messages = 0
        self.session: Session | None = None

    @property
    def next_at(self) -> float | None:
        """When ``advance`` has something to do next, or None."""
        return None if self.closed else self._agenda.next_at

    @property
    def closed(self) -> bool:
        """Whether the connection is over, or is to be closed by an action."""
        return self._gone or self._output.closed

    @property
    def audio_bytes(self) -> int:
        """Bytes of realtime audio that the client sent."""
        return self._turns.audio_bytes if self._turns else 0

    @property
    def video_frames(self) -> int:
        """Images and video frames that the client sent."""
        return self._turns.video_frames if self._turns else 0

    def take_actions(self) -> list[Action]:
        """Take what is to be done now, in order."""
        return self._output.take()

    def receive(self, data: str | bytes, now: float) -> None:
        """Take a frame from the client.

        Args:
            data: JSON, in a text or binary frame.
            now: Clock reading.
        """
        self._step(now, lambda: self._receive(data, now))

    def thought(self, reply: int, piece: str | FunctionCall, now: float) -> None:
        """Take a piece of a reply from the thinker; those of a cancelled reply are ignored."""
        self._step(now, lambda: self._live_turns.generation.thought(reply, piece, now))

    def thought_all(self, reply: int, now: float) -> None:
        """Note that the thinker has said everything."""
        self._step(now, lambda: self._live_turns.generation.thought_all(reply, now))

    def thought_failed(self, reply: int, now: float) -> None:
        """Note that the thinker broke: the connection closes as the service does on its own faults."""
        self._step(now, lambda: self._live_turns.generation.thought_failed(reply))

    def spoken(self, reply: int, pcm: bytes, now: float) -> None:
        """Take audio of a reply from the speaker; that of a cancelled reply is ignored."""
        self._step(now, lambda: self._live_turns.generation.spoken(reply, pcm, now))

    def spoken_all(self, reply: int, now: float) -> None:
        """Note that the speaker has spoken all of a reply."""
        self._step(now, lambda: self._live_turns.generation.spoken_all(reply, now))

    def heard(self, stream: int, event: Hypothesis | SpeechActivity, now: float) -> None:
        """Take what the listener found in an utterance of the user."""
        self._step(now, lambda: self._live_turns.ears.heard(stream, event, now))

    def heard_all(self, stream: int, now: float) -> None:
        """Note that the listener is through with an utterance."""
        self._step(now, lambda: self._live_turns.ears.heard_all(stream, now))

    def advance(self, now: float) -> None:
        """Do what is due."""
        self._step(now, lambda: None)

    def refuse(self, refusal: Refusal) -> None:
        """Close for a reason that the shell found."""
        self._output.close(refusal.code, refusal.reason)

    def disconnected(self, now: float) -> None:
        """Note that the connection is gone."""
        if not self._gone and self.session is not None:
            self._store.release(self.session, now, self._script.faults.forget_closed_after)
        self._gone = True

    def _step(self, now: float, action: Callable[[], None]) -> None:
        if self.closed:
            return
        try:
            self._agenda.run(now)
            if not self.closed:
                action()
                self._agenda.run(now)
            self._announce_resumption()
        except Refusal as refusal:
            self._output.close(refusal.code, refusal.reason)

    @property
    def _live_turns(self) -> Turns:
        assert self._turns is not None, "there are no turns before setup"  # noqa: S101
        return self._turns

    @property
    def _live_context(self) -> LiveContext:
        assert self._context is not None, "there is no context before setup"  # noqa: S101
        return self._context

    def _receive(self, data: str | bytes, now: float) -> None:
        kind, body = self._parse(data)
        if (kind == "setup") == (self._turns is not None):
            raise invalid("setup must be the first message and only the first")
        if kind == "setup":
            self._setup(body, now)
            return
        config = self._live_context.config
        if config.affective_dialog and config.model.affective_dialog == "close":
            # 3.8 takes it at setup and closes on the first message (facts/live#models).
            raise invalid()
        self._messages += 1
        if self._ready:
            self._live_turns.handle(kind, body, now)
        else:
            # Clients should wait for setupComplete (facts/live#client-messages); one that does not is served in order.
            self._early.append((kind, body))

    def _parse(self, data: str | bytes) -> tuple[str, dict[str, Any]]:
        message = normalize(_loads(data), self._row)
        kinds = [kind for kind in _KINDS if kind in message]
        if len(kinds) > 1:
            raise invalid(f"Invalid value (oneof), oneof field 'message_type' is already set. Cannot set '{kinds[1]}'")
        if not kinds:
            raise invalid()
        return kinds[0], message[kinds[0]]

    def _setup(self, body: dict[str, Any], now: float) -> None:
        if self._token is not None:
            # The token's fields are written as the client's are, and checked like them.
            body = normalize({"setup": self._token.constrain(body)}, self._row)["setup"]
        config = parse_setup(body, self._surface, self._version)
        if self._token is not None and (refusal := self._token.admit(resuming=bool(config.handle), now=now)):
            raise refusal
        if refusal := self._script.refuse_setup(resuming=bool(config.handle)):
            raise refusal
        if config.handle:
            self.session = self._store.resume(config, now)
            if self._script.faults.keep_instruction:
                config = replace(config, system_instruction=self.session.instruction)
        else:
            self.session = self._store.create(config, now)
        self._output.packs = config.model.packs_fields
        self._context = LiveContext(
            config,
            self.session,
            self._output,
            self._agenda,
            self._script,
            self._profile,
            self._surface,
            self._voice,
        )
        self._turns = Turns(self._context, self._go_away)
        self._agenda.add(now + self._profile.setup, self._setup_complete)

    def _setup_complete(self, now: float) -> None:
        context = self._live_context
        self._ready = True
        # Vertex adds an id (facts/live#client-messages).
        complete = {"sessionId": f"emulated-{context.session.id}"} if self._surface == "vertex" else {}
        self._output.send({"setupComplete": complete})
        context.touched = True
        self._limit(now, context.session)
        for kind, body in self._early:
            self._live_turns.handle(kind, body, now)
        self._early.clear()

    def _limit(self, now: float, session: Session) -> None:
        limits = self._limits
        notice = GoAway(time_left=limits.notice, close_after=limits.notice)
        self._agenda.add(now + limits.connection - limits.notice, functools.partial(self._go_away, notice))
        compressed = self._live_context.config.compression is not None
        lasts = limits.session if compressed else limits.uncompressed_session
        self._agenda.add(
            max(now, session.started + lasts), lambda at: self._end_session(session, compressed=compressed)
        )
        if self._token is not None:
            self._agenda.add(max(now, self._token.expires), lambda _: self._end_token())
        for fault in self._script.begin_connection():
            self._agenda.add(now + (fault.at or 0.0), functools.partial(self._go_away, fault))

    def _end_session(self, session: Session, *, compressed: bool) -> None:
        # After the 58-minute close a handle worked once more (facts/live#lifetime); without compression the session is
        # spent.
        session.over = not compressed
        session.started = float("inf")
        raise deadline()

    @staticmethod
    def _end_token() -> None:
        raise Refusal(1008, "Token has expired.")

    def _go_away(self, announcement: GoAway, now: float) -> None:
        self._output.send({"goAway": {"timeLeft": f"{announcement.time_left:g}s"}})
        self._output.muted = announcement.mute
        after = announcement.time_left if announcement.close_after is None else announcement.close_after
        self._agenda.add(now + after, lambda _: self._close_at_deadline())

    def _close_at_deadline(self) -> None:
        # facts/live#closes: Vertex says it otherwise.
        raise Refusal(1000, "The operation was cancelled.") if self._surface == "vertex" else deadline()

    def _announce_resumption(self) -> None:
        """Give out a handle, or say that there is none just now, if updates were asked for (facts/live#lifetime)."""
        context = self._context
        if context is None or not self._ready or not context.touched:
            return
        context.touched = False
        if not context.config.resumption:
            return
        # Not while generating or running functions (facts/live#lifetime).
        resumable = self._live_turns.generation.at_rest
        update: dict[str, Any]
        if resumable:
            update = {"newHandle": self._store.issue_handle(context.session, context.config), "resumable": True}
        elif self._announced_resumable:
            # False and empty are not written on the wire.
            update = {}
        else:
            return
        if context.config.transparent:
            update["lastConsumedClientMessageIndex"] = str(self._messages)
        self._announced_resumable = resumable
        self._output.send({"sessionResumptionUpdate": update})


# Half of a pair: no text of any protocol buffer may hold one, and it cannot be sent back either.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _loads(data: str | bytes) -> Any:
    """Read JSON as strictly as the service does.

    Raises:
        Refusal: 1007, if it is none, or holds NaN or half a surrogate pair.
    """
    try:
        text = data if isinstance(data, str) else data.decode()
        parsed = json.loads(text, parse_constant=_refuse_constant)
        if _SURROGATE.search(text):
            json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise invalid("Invalid JSON payload received.") from error
    return parsed


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
