"""Which versions each API has, as data. A version nobody has heard of is served as the newest one, with a warning."""

import re
from dataclasses import dataclass
from typing import Literal

from loguru import logger

Service = Literal["gemini", "vertex", "speech", "tts", "health"]


@dataclass(frozen=True)
class Version:
    """One version of one API.

    Parameters:
        service: Which API.
        name: As in paths and package names.
        newest: Whether versions that nobody has heard of are served like it.
        history_config: Gemini Live: whether setup may hold ``historyConfig`` (facts/live#client-messages).
        proactivity: Gemini Live: whether setup may hold ``proactivity`` (facts/live#models: v1beta refuses it; nobody
            has told of v1, which is served like the widest).
        auth_tokens: Gemini: whether ephemeral tokens are given out here.
    """

    service: Service
    name: str
    newest: bool = False
    history_config: bool = False
    proactivity: bool = False
    auth_tokens: bool = False


VERSIONS: tuple[Version, ...] = (
    Version("gemini", "v1", newest=True, history_config=True, proactivity=True, auth_tokens=True),
    Version("gemini", "v1beta", history_config=True),
    Version("gemini", "v1alpha", history_config=True, proactivity=True, auth_tokens=True),
    Version("vertex", "v1", newest=True, proactivity=True),
    Version("vertex", "v1beta1", proactivity=True),
    Version("speech", "v1"),
    Version("speech", "v1p1beta1"),
    Version("speech", "v2", newest=True),
    Version("tts", "v1", newest=True),
    Version("tts", "v1beta1"),
    Version("health", "v1", newest=True),
)

_NAME = re.compile(r"v\d+(p\d+)?((alpha|beta)\d*)?")
_warned: set[tuple[Service, str]] = set()


def find_version(service: Service, name: str) -> Version | None:
    """Find the row that serves a version.

    Args:
        service: Which API.
        name: As the client named it.

    Returns:
        Its own row; the newest one's if it is written like a version but unknown, with a warning in the log once; None
        if it is no version at all.
    """
    rows = [row for row in VERSIONS if row.service == service]
    for row in rows:
        if row.name == name:
            return row
    if not _NAME.fullmatch(name):
        return None
    newest = next(row for row in rows if row.newest)
    if (service, name) not in _warned:
        _warned.add((service, name))
        logger.warning(f"The emulator knows no version {name} of this API ({service}): it is served as {newest.name}.")
    return newest
