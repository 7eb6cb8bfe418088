"""Temporary folders that go with their owner, and those whose owner was killed."""

import os
import shutil
import sys
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

if sys.platform == "win32":
    fcntl: Any = None
else:
    import fcntl

_HELD = "held"


class HeldFolder:
    """A temporary folder that only the user can read.

    It goes when it is removed, with this object, or when the process ends in order. A process that is killed leaves it;
    the next one to make such a folder finds that nobody holds it any more, and removes it.

    Attributes:
        path: The folder.

    Args:
        prefix: How its name begins, and those of the others of its kind.
    """

    def __init__(self, prefix: str) -> None:
        _sweep(prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        self._remove = weakref.finalize(self, _remove, self.path, _hold(self.path))

    def remove(self) -> None:
        """Delete it with all that is in it."""
        self._remove()


def _hold(folder: Path) -> int | None:
    """Lock a file in it for as long as this process lives; gives the file's descriptor."""
    if sys.platform == "win32":
        return None
    # Under its name only once it is locked, or another process could find it unlocked.
    unlocked = folder / f"{_HELD}.new"
    descriptor = os.open(unlocked, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with suppress(OSError):  # A file system without locks: nobody else can have this one either.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unlocked.replace(folder / _HELD)
    return descriptor


def _remove(folder: Path, descriptor: int | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if descriptor is not None:
        os.close(descriptor)


def _sweep(prefix: str) -> None:
    """Remove the folders of this user that nobody holds."""
    if sys.platform == "win32":
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError):
            if folder.lstat().st_uid != os.getuid():
                continue
            descriptor = os.open(folder / _HELD, os.O_WRONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
