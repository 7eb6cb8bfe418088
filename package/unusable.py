"""Paths that a system refuses whatever is done with them, told as a person's mistake rather than as a fault of ours."""

import errno

_OF_THE_PATH = frozenset(
    (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EROFS)
)


def tell_path(error: OSError) -> str:
    """Word what a system says of a path that somebody named.

    Args:
        error: What it raised.

    Returns:
        One line, cause and remedy; nothing if the path may not be to blame. A file that is missing may be one of ours,
        so that whoever opens what a person named has to tell that.
    """
    if error.errno not in _OF_THE_PATH or not error.filename:
        return ""
    return f"{error.filename} cannot be used ({error.strerror}): name another."
