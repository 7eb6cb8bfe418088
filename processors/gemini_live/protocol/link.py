"""The chain of connections under one session: when to open, resume, renew and retry. No I/O."""

from dataclasses import dataclass, replace
from enum import Enum

from halfcascade.processors.gemini_live.protocol.actions import Close, Open
from halfcascade.processors.gemini_live.protocol.models import LiveModel, Refusal, Remedy
from halfcascade.processors.gemini_live.protocol.options import SessionOptions
from halfcascade.processors.health import ServiceHealth


class LinkState(Enum):
    """State of the connection."""

    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    STOPPED = "stopped"


class Renewal(Enum):
    """Why a connection is replaced although it works.

    Parameters:
        RESUME: The session goes on by its handle.
        FRESH: A new session is seeded from the local context.
    """

    RESUME = "resume"
    FRESH = "fresh"


@dataclass(frozen=True)
class Handle:
    """A resumption handle.

    Parameters:
        value: The server's token.
        mark: How much of the history it holds.
    """

    value: str
    mark: int


class Link:
    """Keeps one connection at a time, and what is needed to continue on the next.

    Parameters:
        model: Row of the model that connections are opened to from now on.
        handle: What the next connection can resume the session by.
        down_since: Clock reading since when nothing can be written, once a connection was open and is no more.
    """

    def __init__(self, model: LiveModel, options: SessionOptions) -> None:
        """Start closed.

        Args:
            model: Row of the model.
            options: Timeouts.
        """
        self._options = options
        self.model = model
        self.state = LinkState.CLOSED
        self.down_since = 0.0
        self.serial = 0
        self.handle: Handle | None = None
        self.resumed = False
        self.renewal: Renewal | None = None
        self.retry_at: float | None = None
        self._health = ServiceHealth(options.refusals_believed)
        # Since anything worked: no more is known of a handle or a quota by attempts that reached nobody.
        self._spoken_refusals = 0
        self._opened_at = 0.0
        self._session_began_at = 0.0
        self._goaway_at: float | None = None
        self._suspect = False
        self._abandoned = False

    @property
    def is_open(self) -> bool:
        """Whether messages can be written."""
        return self.state is LinkState.OPEN

    @property
    def is_trying(self) -> bool:
        """Whether a connection fell mute or could not be opened, and another is being opened or soon to be."""
        failed = self._abandoned or self._health.failures > 0
        return failed and (self.state is LinkState.OPENING or self.retry_at is not None)

    @property
    def failures(self) -> int:
        """How often in a row a connection could not be opened."""
        return self._health.failures

    def concerns(self, serial: int) -> bool:
        """Tell whether news of a connection is news of the present one.

        Args:
            serial: Its number.
        """
        return serial == self.serial and self.state is not LinkState.STOPPED

    def open(self, *, resume: bool, history: bool) -> Open:
        """Begin to open a connection.

        Args:
            resume: Whether to go on by the handle, if there is one.
            history: Whether there is a history to seed a fresh session with.

        Returns:
            What to do.
        """
        self.serial += 1
        self.state = LinkState.OPENING
        self._suspect = False
        self.retry_at = None
        self.resumed = resume and self.handle is not None
        handle = self.handle.value if self.resumed and self.handle else None
        return Open(self.serial, handle, history=handle is None and history)

    def opened(self, now: float) -> None:
        """The server accepted the setup.

        Args:
            now: Clock reading.
        """
        self.state = LinkState.OPEN
        self._health.progress()
        self._spoken_refusals = 0
        self._opened_at = now
        self._goaway_at = None
        self.renewal = None
        if not self.resumed:
            self._session_began_at = now
            self.handle = None

    def refused(self, refusal: Refusal, now: float) -> bool | None:
        """The connection could not be opened.

        Args:
            refusal: What it means.
            now: Clock reading.

        Returns:
            Whether to open again at once by the handle (True), at once afresh (False), or later or never (None).
        """
        self.state = LinkState.CLOSED
        self._health.failed(refused=refusal.remedy is Remedy.GIVE_UP)
        self._spoken_refusals += refusal.spoken
        match refusal.remedy:
            case Remedy.GIVE_UP:
                if self._health.refuses:
                    self.state = LinkState.STOPPED
                else:
                    self._retry(refusal, now)
            case Remedy.USE_AUDIO:
                self.model = replace(self.model, text_output=False)
                return self.resumed
            case Remedy.FRESH:
                return False
            case Remedy.RETRY:
                if self.resumed and self._abandoned and refusal.spoken:
                    # The server may count the socket that fell mute as open for as long as its own keepalive takes.
                    self.handle = None
                    return False
                # A resume while the server still counts the old socket as open passes by itself (facts/live#lifetime),
                # but a handle that keeps failing is given up for a fresh session.
                if self._spoken_refusals > _RESUME_TRIES:
                    self.handle = None
                self._retry(refusal, now)
        return None

    def _retry(self, refusal: Refusal, now: float) -> None:
        """Try again soon where nobody was reached, and not too often where the server said no."""
        if not refusal.spoken:
            # After a while nobody can be waiting any more, and a night without network is long.
            patience = max(1.0, self._health.failures / _UNREACHED_TRIES)
            self.retry_at = now + min(self._options.unreached_secs * patience, self._options.max_backoff_secs)
            return
        pause = self._options.backoff_secs * 2 ** min(self._spoken_refusals - 1, 16)
        self.retry_at = now + max(min(pause, self._options.max_backoff_secs), refusal.retry_secs)

    def lost(self, now: float, *, resumable: bool) -> None:
        """The connection broke or was closed by the server.

        Args:
            now: Clock reading.
            resumable: Whether the session can go on by its handle.
        """
        self.down_since = now
        self._abandoned = False
        if not resumable:
            self.handle = None

    def close(self, now: float, *, mute: bool = False) -> Close:
        """Begin to close the connection, to open the next one when that is done.

        Args:
            now: Clock reading.
            mute: Whether it seems dead.

        Returns:
            What to do.
        """
        self.down_since = now
        self.state = LinkState.CLOSING
        return Close(self.serial, mute)

    def closed(self, *, let_go: bool) -> None:
        """The connection was closed as asked.

        Args:
            let_go: Whether the server answered the closing handshake.
        """
        self._abandoned = not let_go

    def goaway(self, time_left: str | None, now: float) -> None:
        """The server announced the end of the connection.

        Args:
            time_left: What it promised, as a protobuf duration.
            now: Clock reading.
        """
        self._goaway_at = now + _seconds(time_left)

    def distrust(self) -> None:
        """The connection did not do its duty: the next quiet moment replaces it."""
        self._suspect = True

    def renew(self, renewal: Renewal) -> None:
        """Ask for a hand-over.

        Args:
            renewal: Fresh wins over resumed.
        """
        if self.renewal is not Renewal.FRESH:
            self.renewal = renewal

    def renewal_due(self, now: float) -> bool:
        """Tell whether the connection should be replaced in the next quiet moment.

        Args:
            now: Clock reading.
        """
        limit = self.model.session_limit_secs
        if limit is not None and now >= self._session_began_at + limit:
            # Sessions were closed at 58 minutes, whatever was resumed before (facts/live#lifetime): start over before
            # that.
            self.renew(Renewal.FRESH)
        aged = now >= self._opened_at + self._options.renew_after_secs
        return aged or self.renewal_wanted or self._goaway_at is not None

    @property
    def renewal_wanted(self) -> bool:
        """Whether the connection should be replaced before anything else is sent on it."""
        return self.renewal is not None or self._suspect

    def last_call(self, now: float) -> bool:
        """Tell whether the announced end is so near that even a bad moment will do.

        Args:
            now: Clock reading.
        """
        return self._goaway_at is not None and now >= self._goaway_at - self._options.goaway_margin_secs

    def expired(self, now: float) -> bool:
        """Tell whether the announced end has come; the server may just fall silent then (facts/live#lifetime).

        Args:
            now: Clock reading.
        """
        return self._goaway_at is not None and now >= self._goaway_at

    def deadlines(self) -> list[float]:
        """List the clock readings at which one of the answers above changes; they may be past."""
        due = [self._opened_at + self._options.renew_after_secs]
        if self.model.session_limit_secs is not None:
            due.append(self._session_began_at + self.model.session_limit_secs)
        if self._goaway_at is not None:
            due += [self._goaway_at - self._options.goaway_margin_secs, self._goaway_at]
        return due


_RESUME_TRIES = 4
_UNREACHED_TRIES = 60


def _seconds(duration: str | None) -> float:
    """Read a protobuf duration such as ``50s`` or ``9.5s``."""
    try:
        return float((duration or "0s").removesuffix("s"))
    except ValueError:
        return 0.0
