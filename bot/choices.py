"""What a person has chosen, judged before anything is loaded or started for it.

Nothing here imports Pipecat by itself: that alone takes seconds.
"""

import importlib
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from loguru import logger

from halfcascade.bot.settings import Settings
from halfcascade.processors.errors import ConfigurationError

_FORM = "give it as package.module:factory, importable from here."


def check_choices(settings: Settings) -> None:
    """Check the user's recording and processors: what can be judged without knowing where the talk goes.

    Args:
        settings: Everything that can be chosen.

    Raises:
        ConfigurationError: If one of them cannot be used.
    """
    if settings.user_audio:
        from halfcascade.transports.wav_file import check_wav

        check_wav(settings.user_audio)
    for path in settings.processors:
        find_factory(path)


def check_services(settings: Settings) -> None:
    """Check voice, ears and notes, whose modules the talk needs too: to be done once those are imported.

    Args:
        settings: Everything that can be chosen.

    Raises:
        ConfigurationError: If Google is known to refuse them, or the notes cannot be kept.
    """
    from halfcascade.processors.chirp_tts.voices import check_voice
    from halfcascade.processors.google_stt.models import check_languages, resolve_location

    check_voice(settings.voice_name, settings.language)
    check_languages(settings.stt_model, settings.listen_for)
    resolve_location(settings.stt_model, settings.stt_location)
    if settings.notes:
        from halfcascade.bot.notes import Notes

        Notes(settings.notes)


def check_model_file(path: Path | None) -> None:
    """Check the file that the emulator's local mind thinks with.

    Args:
        path: A GGUF file, or None for the small one.

    Raises:
        ConfigurationError: If it is not there.
    """
    if path and not path.is_file():
        raise ConfigurationError(f"There is no model file {path}: give the path of a GGUF file.")


def check_command(server: str) -> None:
    """Check that the program of a local MCP server is here.

    Args:
        server: Its command line, or the URL of one elsewhere.

    Raises:
        ConfigurationError: If it is not, or the command line makes no sense.
    """
    if urlsplit(server).scheme in ("http", "https"):
        return
    try:
        command = next(iter(shlex.split(server)), "")
    except ValueError as error:
        told = f"The command line of an MCP server makes no sense ({error}): check its quotes."
        raise ConfigurationError(told) from error
    if not shutil.which(command):
        # Without its arguments, which may hold a secret.
        raise ConfigurationError(
            f"The MCP server {command} cannot be used (no such program): check its address or command."
        )


def find_factory(path: str) -> Callable[[], object]:
    """Find what makes one of the user's own processors, without making it.

    Args:
        path: ``package.module:factory``.

    Returns:
        The factory.

    Raises:
        ConfigurationError: If there is no such factory, or its module cannot be imported.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise ConfigurationError(f"--processor {path} names no factory: {_FORM}")
    # A console script looks for modules beside itself only; what is installed goes before what lies here.
    if not {"", str(Path.cwd())} & set(sys.path):
        sys.path.append(str(Path.cwd()))
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except Exception as error:  # whatever the user's own code raises
        raise unusable(path, error) from error
    if not callable(factory):
        raise ConfigurationError(f"--processor {path} is a {type(factory).__name__}, which cannot be called: {_FORM}")
    return factory


def unusable(path: str, error: Exception) -> ConfigurationError:
    """Word what the user's own code raised.

    Args:
        path: ``package.module:factory``.
        error: What it raised; a `ConfigurationError` is left as it is.
    """
    if isinstance(error, ConfigurationError):
        return error
    logger.opt(exception=error).debug(f"--processor {path}")
    return ConfigurationError(f"--processor {path} cannot be loaded ({_cause(error)}): {_remedy(error)}")


def _cause(error: Exception) -> str:
    said = " ".join(str(error).split())
    return said if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: {said}"


def _remedy(error: Exception) -> str:
    room = (error.name or "").split(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if room in ("bot", "processors", "transports", "emulator"):
        return f"import halfcascade.{room} instead."
    if isinstance(error, ImportError | AttributeError | ValueError):
        return _FORM
    return "mend it, or leave it out."
