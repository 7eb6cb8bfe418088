"""The command line: ``halfcascade``, or ``python -m halfcascade``."""

import atexit
import contextlib
import os
import sys
from typing import NoReturn

_INTERRUPTED = 130  # what shells report of a program that Ctrl-C ended


def run(program: str = "halfcascade") -> None:
    """Run the command line and exit with its code.

    Args:
        program: How the person called it, for the help.
    """
    # What is multiplied here is small: more threads would only wait for each other, and burn a core while they do.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
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
        sys.stderr.write("Ended before it began.\n")
        _leave(_INTERRUPTED)


def _leave(code: int) -> NoReturn:
    """End the process without taking Python apart.

    Networks may still be loading on threads that nobody waits for: native code that Python ends under them aborts the
    process, and libraries that count their objects complain of those that are left.
    """
    with contextlib.suppress(Exception):  # Python itself only prints what fails here, and nobody reads it any more
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        # Whoever read it may be gone, and its disk full.
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _run_emulator(program: str) -> None:
    """Run the emulator without the bot, which needs packages that the emulator does not, and exit with its code."""
    from halfcascade.emulator.lean import leave_out_clients

    leave_out_clients()
    from halfcascade.emulator.__main__ import app

    app(sys.argv[2:], prog_name=f"{program} emulator")


if __name__ == "__main__":
    run("python -m halfcascade")
