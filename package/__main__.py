"""The command line: ``halfcascade``, or ``python -m halfcascade``."""

import atexit
import contextlib
import errno
import os
import sys
from typing import NoReturn

from halfcascade import unwritten
from halfcascade.lines import tr, tr_error, use_language
from halfcascade.unusable import tell_path

_INTERRUPTED = 130  # what shells report of a program that Ctrl-C ended
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EPIPE, errno.EIO)


def run(program: str = "halfcascade") -> None:
    """Run the command line and exit with its code.

    Args:
        program: How the person called it, for the help.
    """
    # What is multiplied here is small: more threads would only wait for each other, and burn a core while they do.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _open_what_is_closed()
    try:
        if sys.argv[1:2] == ["emulator"]:
            _run_emulator(program)
        # Loading takes a second, in which a person may think better of it.
        from halfcascade.bot.cli import app

        app(prog_name=program)
    except SystemExit as ending:
        if isinstance(ending.code, str):
            raise
        _leave(ending.code or 0)
    except KeyboardInterrupt:
        use_language(os.environ.get("HALFCASCADE_LANGUAGE"))
        _say(tr("Ended before it began."))
        _leave(_INTERRUPTED)
    except OSError as error:
        # Of writing, or of a path that no file can have: nothing else that a system refuses comes up to here.
        if error.errno in _UNWRITABLE:
            _leave(1, error)
        if not (line := tell_path(error)):
            raise
        _say(f"{tr('error')}: {tr_error(line)}")
        _leave(1)


def _open_what_is_closed() -> None:
    """Give a process that was started without standard streams (``>&-``, a service) some that lead nowhere."""
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123


def _leave(code: int, failed: OSError | None = None) -> NoReturn:
    """End the process without taking Python apart.

    Networks may still be loading on threads that nobody waits for: native code that Python ends under them aborts the
    process, and libraries that count their objects complain of those that are left.

    Args:
        code: What shells are told.
        failed: Why not all could be written, if so.
    """
    with contextlib.suppress(Exception):  # Python itself only prints what fails here, and nobody reads it any more
        atexit._run_exitfuncs()
    failed = failed or next(iter(unwritten.failures), None)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except ValueError:  # closed
            pass
        except OSError as error:
            failed = failed or error
    # Whoever read it may be gone, which is no error: `| head`.
    if failed and failed.errno != errno.EPIPE:
        code = code or 1
        line = f"What is told cannot be written ({failed.strerror}): free some space."
        _say(f"{tr('error')}: {tr_error(line)}")
    os._exit(code)


def _say(line: str) -> None:
    """Write a line to standard error, whatever has become of it."""
    with contextlib.suppress(OSError, ValueError):
        os.write(2, f"{line}\n".encode(getattr(sys.stderr, "encoding", None) or "utf-8", errors="replace"))


def _run_emulator(program: str) -> None:
    """Run the emulator without the bot, which needs packages that the emulator does not, and exit with its code."""
    from halfcascade.emulator.lean import leave_out_clients

    leave_out_clients()
    from halfcascade.emulator.__main__ import app

    app(sys.argv[2:], prog_name=f"{program} emulator")


if __name__ == "__main__":
    run("python -m halfcascade")
