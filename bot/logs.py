"""Where log lines go: to a file of the session, free of secrets, and to the terminal only when asked for."""

import logging
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from loguru import logger

from halfcascade.bot.session.redaction import Redactor
from halfcascade.processors.harmless import harmless_lines

LOG_FILE = "bot.log"
_FORMAT = "{time:HH:mm:ss.SSS} | {level: <8} | {name}:{line} | {message}"


class _Handler(logging.Handler):
    """Passes the standard library's log records on to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        level: Any = record.levelname if record.levelname in ("DEBUG", "INFO", "WARNING", "ERROR") else record.levelno
        logger.opt(exception=record.exc_info).log(level, f"{record.name}: {record.getMessage()}")


class _Redacted:
    """A file that secrets do not reach; what a full disk refuses is dropped, and nobody is disturbed with it."""

    def __init__(self, file: TextIO, redactor: Redactor):
        self._file = file
        self._redactor = redactor

    def write(self, line: str) -> None:
        with suppress(OSError):
            self._file.write(harmless_lines(self._redactor.text(line)))


def set_up_logs(folder: Path, redactor: Redactor, *, verbose: bool = False) -> None:
    """Send all log lines to the session folder.

    Args:
        folder: The session folder.
        redactor: Applied to each finished line, tracebacks included.
        verbose: Whether the terminal shows them too.
    """
    logger.remove()
    log_to((folder / LOG_FILE).open("w", encoding="utf-8", buffering=1), redactor)
    if verbose:
        log_to(sys.stderr, redactor)
    intercept_logging()


def log_to(file: TextIO, redactor: Redactor, *, level: str = "DEBUG") -> None:
    """Send log lines to one more place.

    Args:
        file: Where they go.
        redactor: Applied to each finished line, tracebacks included.
        level: From which level on.
    """
    # `diagnose` would print the values of local variables, secrets among them, in a form no filter can know.
    logger.add(_Redacted(file, redactor), level=level, format=_FORMAT, diagnose=False)


def intercept_logging() -> None:
    """Send the standard library's log records and warnings the same way."""
    logging.basicConfig(handlers=[_Handler()], level=logging.INFO, force=True)
    logging.captureWarnings(True)
