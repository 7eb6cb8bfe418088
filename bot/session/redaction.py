"""Keeps secrets out of everything that is written or shown."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

HIDDEN = "[hidden]"

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL)", re.IGNORECASE)
# Google's API keys, OAuth access and refresh tokens; a key in a URL's query, whatever it looks like; bearer headers.
_SECRET_SHAPES = [
    re.compile(r"AIza[0-9A-Za-z_\-]{20,}"),
    re.compile(r"\bAQ\.[0-9A-Za-z_\-]{20,}"),
    re.compile(r"ya29\.[0-9A-Za-z_\-.]+"),
    re.compile(r"\b1//[0-9A-Za-z_\-]{20,}"),
    re.compile(r"(?<=[?&]key=)[^&\s\"']+"),
    re.compile(r"(?<=access_token=)[^&\s\"']+"),
    re.compile(r"(?<=Bearer )[^\s\"']+", re.IGNORECASE),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL),
]
_MIN_LENGTH = 6
# What people set when a server asks for any key at all; hiding such a word would garble ordinary text.
_PLACEHOLDERS = {"emulator", "anonymous", "dummy-key"}
_FILE_NAMES = {"GOOGLE_APPLICATION_CREDENTIALS"}


class Redactor:
    """Replaces known secret values, and whatever has the shape of one.

    Args:
        secrets: Values that must never appear.
    """

    def __init__(self, secrets: Iterable[str] = ()):
        # Longest first, so that a secret which contains another one is hidden whole.
        self._secrets = sorted({secret for secret in secrets if len(secret) >= _MIN_LENGTH}, key=len, reverse=True)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Redactor":
        """Take the secrets from environment variables whose names say that they hold one.

        Args:
            environ: The variables; None means this process's.

        Returns:
            The redactor. Names of files (``GOOGLE_APPLICATION_CREDENTIALS``) and placeholders are no secrets.
        """
        variables = os.environ if environ is None else environ
        return cls(
            value
            for name, value in variables.items()
            if _SECRET_NAME.search(name) and value not in _PLACEHOLDERS and not _is_path(name, value)
        )

    def text(self, text: str) -> str:
        """Hide the secrets in a text.

        Args:
            text: Any text.

        Returns:
            The text with ``[hidden]`` in their place.
        """
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
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
