"""Ephemeral tokens: how often and until when they open sessions, and what they lock (genai types: AuthToken)."""

import copy
import datetime
import itertools
import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from halfcascade.emulator.live.errors import Refusal
from halfcascade.emulator.live.schema import camel

_LIFETIME, _LONGEST = 30 * 60.0, 20 * 3600.0
_NEW_SESSION = 60.0
_MOST_TOKENS = 10_000
_PREFIX = "auth_tokens/"
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")
_EXPIRED = Refusal(1008, "Token has expired or its time for new sessions is over.")
_USED_UP = Refusal(1008, "Token has been used too many times.")
_UNKNOWN = Refusal(1008, "Token is invalid.")


@dataclass
class Token:
    """One token.

    Parameters:
        name: ``auth_tokens/...``.
        uses: How many sessions it may still open; None = any number.
        expires: When its sessions end, in machine seconds.
        new_sessions_until: Until when it opens new ones.
        setup: What it locks, or None.
        fields: Which fields of that; none = all.
    """

    name: str
    uses: int | None
    expires: float
    new_sessions_until: float
    setup: dict[str, Any] | None = None
    fields: tuple[str, ...] = field(default_factory=tuple)

    def admit(self, *, resuming: bool, now: float) -> Refusal | None:
        """Open a session.

        Args:
            resuming: Whether it resumes one, which does not count as a use.
            now: Machine seconds.

        Returns:
            What it is refused with, or None.
        """
        if now >= self.expires or (not resuming and now >= self.new_sessions_until):
            return _EXPIRED
        if resuming or self.uses is None:
            return None
        if self.uses <= 0:
            return _USED_UP
        self.uses -= 1
        return None

    def constrain(self, setup: dict[str, Any]) -> dict[str, Any]:
        """Give the setup that holds, instead of the one that the client sent."""
        if self.setup is None:
            return setup
        if not self.fields:
            locked = copy.deepcopy(self.setup)
            handle = (setup.get("sessionResumption") or {}).get("handle")
            if handle and "sessionResumption" in locked:
                locked["sessionResumption"]["handle"] = handle
            return locked
        constrained = copy.deepcopy(setup)
        for path in self.fields:
            _overwrite(constrained, self.setup, path.split("."))
        return constrained


class TokenStore:
    """The tokens that an emulator has given out."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}

    def create(self, body: dict[str, Any], now: float, utc: datetime.datetime) -> dict[str, Any]:
        """Answer a request for a token.

        Args:
            body: ``AuthToken`` JSON.
            now: Machine seconds.
            utc: The same moment on the wall's clock.

        Returns:
            The answer's JSON.

        Raises:
            ValueError: If the request holds what no token has; one line.
        """
        known = {camel(key): value for key, value in body.items() if value is not None}
        known = {**known, **(known.pop("config", None) or {})}
        try:
            uses = int(known.get("uses", 1))
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"Invalid value at 'auth_token.uses' (TYPE_INT32), {known['uses']!r}") from error
        if uses < 0:
            raise ValueError("uses must not be negative.")
        lifetime = _until(known.get("expireTime"), utc, _LIFETIME)
        opens = _until(known.get("newSessionExpireTime"), utc, _NEW_SESSION)
        if not 0 < lifetime <= _LONGEST:
            raise ValueError("expire_time must be less than 20 hours in the future.")
        setup = known.get("bidiGenerateContentSetup")
        if setup is not None and not isinstance(setup, dict):
            raise ValueError("Invalid value at 'auth_token.bidi_generate_content_setup'.")
        setup = setup.get("setup", setup) if setup else None
        mask = str(known.get("fieldMask") or "")
        fields = tuple(".".join(camel(part) for part in path.split(".")) for path in mask.split(",") if path.strip())
        name = _PREFIX + secrets.token_hex(32)
        self._tokens[name] = Token(name, uses or None, now + lifetime, now + opens, setup, fields)
        self._forget(now)
        return {"name": name}

    def find(self, name: str) -> Token | Refusal:
        """Find a token by the name that a client gives."""
        name = name if name.startswith(_PREFIX) else _PREFIX + name
        return self._tokens.get(name) or _UNKNOWN

    def _forget(self, now: float) -> None:
        for name in [name for name, token in self._tokens.items() if token.expires <= now]:
            del self._tokens[name]
        for name in list(itertools.islice(self._tokens, max(0, len(self._tokens) - _MOST_TOKENS))):
            del self._tokens[name]


def _until(value: Any, utc: datetime.datetime, default: float) -> float:
    if value is None:
        return default
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"Invalid time {value!r}: write it as 2026-01-31T12:00:00Z.")
    moment = datetime.datetime.fromisoformat(match[1] + ("+00:00" if match[3] == "Z" else match[3]))
    return (moment - utc).total_seconds()


def _overwrite(target: dict[str, Any], source: dict[str, Any], path: list[str]) -> None:
    """Write one field of the source over the target's, or take it out where the source has none."""
    *parents, last = path
    for name in parents:
        inner = target.get(name)
        if not isinstance(inner, dict):
            inner = target[name] = {}
        target = inner
        found = source.get(name)
        source = found if isinstance(found, dict) else {}
    if last in source:
        target[last] = copy.deepcopy(source[last])
    else:
        target.pop(last, None)
