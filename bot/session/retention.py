"""Deletes session folders that were kept long enough."""

import shutil
import time
from pathlib import Path

from loguru import logger

from halfcascade.bot.session.names import EVENTS

_DAY_SECS = 86_400


def forget_old_sessions(folder: Path, days: float) -> list[Path]:
    """Delete session folders that were kept long enough. Touches the disk: call it off the event loop.

    Args:
        folder: Holds the session folders.
        days: How long they are kept.

    Returns:
        What was deleted.
    """
    if not folder.is_dir():
        return []
    oldest = time.time() - days * _DAY_SECS
    # Only what a talk has made: folders that hold a session's events.
    old = [path for path in folder.iterdir() if (path / EVENTS).is_file() and path.stat().st_mtime < oldest]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
        logger.info(f"Deleted the session {path.name}: it was kept for {days:g} days.")
    return old
