"""Which extra of this distribution brings a package that is missing, said in one line.

The base install holds the command line and the emulator; whoever talks takes an extra. Nothing is imported here.
"""

import sys

from halfcascade.installing import LOCAL_MIND, how_to_install, in_checkout, is_there
from halfcascade.processors.errors import ConfigurationError

PACKAGES = {
    "bot": {"pipecat": "pipecat-ai", "google.genai": "google-genai", "onnxruntime": "onnxruntime"},
    "serve": {"aiortc": "aiortc", "fastapi": "fastapi", "uvicorn": "uvicorn", "prometheus_client": "prometheus-client"},
    "scale": {"ray": "ray", "httpx": "httpx"},
    "talk": {"pyaudio": "pyaudio", "pywebrtc_audio": "pywebrtc-audio"},
    "demo": LOCAL_MIND,
}
"""What each extra brings: name to import, name to install."""

_PORTAUDIO = {
    "darwin": "run `brew install portaudio`",
    "linux": "install PortAudio and a compiler (`apt install portaudio19-dev gcc python3-dev`)",
}


class MissingExtraError(ConfigurationError, ImportError):
    """A package is not installed, or does not load; the message names the extra that brings it."""


def missing_extra(extra: str, error: ImportError) -> MissingExtraError:
    """Word a failed import for a person.

    Args:
        extra: The extra that brings the package.
        error: What the import said.

    Returns:
        One line: what is missing, and the command that installs it.
    """
    absent = isinstance(error, ModuleNotFoundError)
    what = f"the package {error.name}" if absent and error.name else f"a package that does not load ({error})"
    return MissingExtraError(f"This needs {what}: {_remedy(extra)}", name=error.name)


def lacks(extra: str) -> list[str]:
    """The packages of an extra that are not installed, as pip knows them; nothing is imported.

    Args:
        extra: A key of `PACKAGES`.
    """
    return [package for module, package in PACKAGES[extra].items() if not is_there(module)]


def require(purpose: str, *extras: str) -> None:
    """Make sure that extras are installed, without importing any of them.

    Args:
        purpose: Begins the sentence, such as "Talking".
        extras: Keys of `PACKAGES`.

    Raises:
        MissingExtraError: If one is not; one command brings all that is missing.
    """
    if absent := {extra: packages for extra in extras if (packages := lacks(extra))}:
        # Each of the others brings `bot` along.
        wanted = [extra for extra in absent if extra != "bot" or len(absent) == 1]
        names = ", ".join(package for packages in absent.values() for package in packages)
        raise MissingExtraError(f"{purpose} needs {names}, not installed here: {_remedy(*wanted)}")


def _remedy(*extras: str) -> str:
    system = _PORTAUDIO.get(sys.platform) if "talk" in extras and not in_checkout() else None
    command = how_to_install(*extras)
    return f"{system}, then run {command}." if system else f"run {command}."
