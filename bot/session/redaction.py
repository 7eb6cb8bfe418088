"""Keeps secrets out of everything that is written or shown."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

HIDDEN = "[hidden]"

# Names of variables, options, headers and fields that hold secrets.
_NAMES = (
    r"(?:[A-Za-z0-9.]+[_-])*(?:api[_-]?key|apikey|access[_-]?key(?:[_-]?id)?|secret[_-]?access[_-]?key|private[_-]?key|"
    r"account[_-]?key|client[_-]?secret|secret|password|passwd|passphrase|pwd|(?:access|refresh|id|auth|bearer|session|security|api)"
    r"[_-]?token|token|credentials?|signature|sig|x-goog-api-key|x-api-key|cookie)"
)
_SECRET_NAME = re.compile(
    r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|COOKIE)|(^|_)(PASS|PWD|PAT|AUTH)(_|$)", re.IGNORECASE
)
# Where a secret stands by its structure, whatever it looks like: what is matched before it stays.
_SECRET_PLACES = [
    # user:password@ and token@ in a URL
    re.compile(r"(?<=://)[^/\s@\"'<>]+(?=@)"),
    # ?key=… and &token=… in a URL
    re.compile(rf"(?<=[?&;])(?P<keep>(?:{_NAMES}|key|code|auth)=)[^&\s\"'#]+", re.IGNORECASE),
    # name of one use after auth_tokens/
    re.compile(r"(?P<keep>auth_tokens/)[\w.~-]+"),
    # headers
    re.compile(r"(?P<keep>\b(?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:\w+\s+)?)[^\s\"',}]{6,}", re.IGNORECASE),
    re.compile(r"(?P<keep>\b(?:Bearer|Basic|Digest|Token)\s+)(?=[^\s\"']*[0-9+/=._-])[^\s\"',]{8,}"),
    re.compile(r"(?P<keep>\b(?:set-)?cookie[\"']?\s*:\s*[\"']?)(?=[^\r\n]*=)[^\r\n\"'}]+", re.IGNORECASE),
    # "api_key": "…", api_key='…'
    re.compile(rf"(?P<keep>[\"']{_NAMES}[\"']\s*[:=,]\s*b?([\"']))(?:(?!\2)[^\\]|\\.)+", re.IGNORECASE),
    # api_key=…, API_KEY: … (a value of that kind: no plain word of a sentence)
    re.compile(rf"(?P<keep>\b{_NAMES}\s*=\s*[\"']?)[^\s\"',;&}}\])]{{6,}}", re.IGNORECASE),
    re.compile(rf"(?P<keep>\b{_NAMES}:\s*)(?=[^\s,;]*\d)[^\s\"',;&}}\])]{{8,}}", re.IGNORECASE),
    # --token …, --api-key=…
    re.compile(rf"(?P<keep>--?{_NAMES}(?:\s+|=)[\"']?)[^\s\"']{{4,}}", re.IGNORECASE),
]
# What looks like a secret wherever it stands: keys and tokens of services whose form is known.
_SECRET_SHAPES = [
    re.compile(pattern)
    for pattern in (
        # Also where a line was broken in its middle.
        r"AIza[0-9A-Za-z_\-]{10,}\n[0-9A-Za-z_\-]{8,}|AIza[0-9A-Za-z_\-]{20,}",
        r"\bAQ\.[0-9A-Za-z_\-]{20,}",
        r"\bya29\.[0-9A-Za-z_\-.]+",
        r"\b1//[0-9A-Za-z_\-]{20,}",
        r"\bGOCSPX-[0-9A-Za-z_\-]{10,}",
        r"\beyJ[0-9A-Za-z_\-]{8,}\.[0-9A-Za-z_\-]{8,}(?:\.[0-9A-Za-z_\-]*)?",
        r"\bgh[pousr]_[0-9A-Za-z]{16,}",
        r"\bgithub_pat_[0-9A-Za-z_]{10,}",
        r"\bgl(?:pat|ptt|rt|dt|cbt)-[0-9A-Za-z_\-]{16,}",
        r"\b(?:sk|pk|rk)[-_](?:[a-z0-9]+[-_])*[0-9A-Za-z]{12,}",
        r"\b(?:xox[abeoprs]|xapp)-[0-9A-Za-z-]{10,}",
        r"\bhooks\.slack\.com/services/[0-9A-Za-z/]{20,}",
        r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
        r"\bhf_[0-9A-Za-z]{20,}",
        r"\bnpm_[0-9A-Za-z]{30,}",
        r"\bpypi-[0-9A-Za-z_\-]{30,}",
        r"\bSG\.[0-9A-Za-z_\-]{16,}\.[0-9A-Za-z_\-]{16,}",
        r"\bdop_v1_[0-9a-f]{32,}",
        r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{20,}",
        r"\bdckr_pat_[0-9A-Za-z_\-]{16,}",
        r"\b(?:whsec|gsk|r8|lin_api)_[0-9A-Za-z]{20,}",
        r"\btvly-[0-9A-Za-z-]{16,}",
        r"\bATATT3[0-9A-Za-z_\-=]{16,}",
        r"\bhv[sb]\.[0-9A-Za-z_\-]{20,}",
    )
] + [re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)]
_MIN_LENGTH = 6
# What people set when a server asks for any key at all; hiding such a word would garble ordinary text.
_PLACEHOLDERS = {"emulator", "anonymous", "dummy-key"}
_FILE_NAMES = {"GOOGLE_APPLICATION_CREDENTIALS"}
_URL_SECRET = re.compile(r"://(?:[^/\s@:]*:)?(?P<password>[^/\s@:]{4,})@")
_OPTION_SECRET = re.compile(rf"(?:[?&;]|--?)(?:{_NAMES}|key)(?:=|\s+)(?P<value>[^&\s,\"']{{6,}})", re.IGNORECASE)


# No secret stands in a text without one of these: plain speech costs one search.
_MAY_HOLD = re.compile(r"[=/_\-@:\"']|AIza|eyJ|AKIA|ASIA|Bearer|Basic|\.[0-9A-Za-z_\-]{16}|\d")


def _hide(match: re.Match[str]) -> str:
    return (match.groupdict().get("keep") or "") + HIDDEN


class Redactor:
    """Replaces known secret values, and whatever has the shape of one.

    Args:
        secrets: Values that must never appear.
    """

    def __init__(self, secrets: Iterable[str] = ()):
        known = {secret for secret in secrets if len(secret) >= _MIN_LENGTH}
        # As JSON, Python and URLs write them, too.
        written = {
            form for secret in known for form in (json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, ""))
        }
        # Longest first, so that a secret which contains another one is hidden whole.
        self._secrets = sorted(known | written, key=len, reverse=True)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Redactor":
        """Take the secrets from environment variables whose names say that they hold one.

        Args:
            environ: The variables; None means this process's.

        Returns:
            The redactor. Names of files (``GOOGLE_APPLICATION_CREDENTIALS``) and placeholders are no secrets.
        """
        variables = os.environ if environ is None else environ
        named = {
            value
            for name, value in variables.items()
            if _SECRET_NAME.search(name) and value not in _PLACEHOLDERS and not _is_path(name, value)
        }
        # Passwords of proxies and keys of MCP servers stand inside of other values.
        inside = {match["password"] for value in variables.values() for match in _URL_SECRET.finditer(value)}
        inside |= {match["value"] for value in variables.values() for match in _OPTION_SECRET.finditer(value)}
        return cls(named | inside)

    def text(self, text: str) -> str:
        """Hide the secrets in a text.

        Args:
            text: Any text.

        Returns:
            The text with ``[hidden]`` in their place.
        """
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        if not _MAY_HOLD.search(text):
            return text
        for place in _SECRET_PLACES:
            text = place.sub(_hide, text)
        for shape in _SECRET_SHAPES:
            text = shape.sub(HIDDEN, text)
        return text

    def value(self, value: Any) -> Any:
        """Hide the secrets in all texts within a JSON-like value.

        Args:
            value: A text, or mappings and lists of them; anything else is returned as it is.

        Returns:
            The value without secrets.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(key): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


def _is_path(name: str, value: str) -> bool:
    if name in _FILE_NAMES and "{" not in value:  # whether or not there is such a file
        return True
    try:
        return Path(value).exists()
    except (OSError, ValueError):  # too long for a path, or none
        return False
