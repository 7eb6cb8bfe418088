"""Who may talk: the token, the page's origin, and tickets for one talk each. No I/O."""

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")
TICKET_SECS = 60.0
# Somebody who asks for tickets and does not use them must not fill the memory.
_MOST_TICKETS = 4096


@dataclass(frozen=True)
class Ticket:
    """The right to one talk.

    Parameters:
        expires: Clock reading in seconds after which it is void.
        wishes: What was asked for when it was issued.
    """

    expires: float
    wishes: dict[str, Any]


@dataclass
class Gatekeeper:
    """Knows the token, the origins and the tickets that are out.

    Parameters:
        token: What a caller must know, or None if anybody who reaches the server may talk.
        origins: Origins of pages (``https://example.org``) besides the server's own that may connect.
        hosts: Names under which the server is reached; a request for another host is a page that had its own name
            point here. Empty allows all, which is right only where a token is asked for.
    """

    token: str | None = None
    origins: Sequence[str] = ()
    hosts: Sequence[str] = LOOPBACK
    _tickets: dict[str, Ticket] = field(default_factory=dict)

    def knows_token(self, authorization: str | None) -> bool:
        """Whether an ``Authorization`` header carries the token: as bearer, or as the password of basic access.

        Args:
            authorization: The header, or None.
        """
        if self.token is None:
            return True
        scheme, _, value = (authorization or "").partition(" ")
        given = _password(value) if scheme.lower() == "basic" else value.strip() if scheme.lower() == "bearer" else ""
        return hmac.compare_digest(given.encode(), self.token.encode())

    def allows_host(self, host: str | None) -> bool:
        """Whether a request was meant for this server.

        Args:
            host: The ``Host`` header.
        """
        return not self.hosts or _host_name(host) in self.hosts

    def allows_origin(self, origin: str | None, host: str | None) -> bool:
        """Whether a page may connect.

        Args:
            origin: The ``Origin`` header; None for a program that is no browser, which has none.
            host: The ``Host`` header.
        """
        if origin is None:
            return True
        allowed = {other.lower().rstrip("/") for other in self.origins}
        return origin.lower() in allowed or _authority(origin) == (host or "").lower()

    def issue(self, now: float, wishes: dict[str, Any] | None = None) -> str:
        """Make a ticket.

        Args:
            now: Clock reading in seconds.
            wishes: What is asked for.

        Returns:
            Its number, which nobody can guess.
        """
        self._tickets = {number: ticket for number, ticket in self._tickets.items() if ticket.expires > now}
        while len(self._tickets) >= _MOST_TICKETS:
            del self._tickets[next(iter(self._tickets))]
        number = secrets.token_urlsafe(24)
        self._tickets[number] = Ticket(now + TICKET_SECS, wishes or {})
        return number

    def redeem(self, number: str, now: float) -> Ticket | None:
        """Take a ticket back; it is good once.

        Args:
            number: Its number.
            now: Clock reading in seconds.

        Returns:
            The ticket, or None if it is none, was used, or is too old.
        """
        ticket = self._tickets.pop(number, None)
        return ticket if ticket and ticket.expires > now else None


def is_loopback(host: str) -> bool:
    """Whether an address to bind to is reached from this machine alone.

    Args:
        host: Name or address.
    """
    return host in LOOPBACK or host.startswith("127.")


def _host_name(host: str | None) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname if host else None
    except ValueError:
        return None


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _password(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
