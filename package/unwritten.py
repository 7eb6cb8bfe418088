"""What could not be told because a disk is full: noted where it happens, and told when the process ends."""

import errno

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of the errors of a file that has no room."""

failures: list[OSError] = []
"""Why, the first time; whoever writes may go on meanwhile."""


def note(error: OSError) -> None:
    """Note that something could not be written.

    Args:
        error: Why; only a full disk counts, for a reader may go away when it has read enough.
    """
    if error.errno in FULL and not failures:
        failures.append(error)
