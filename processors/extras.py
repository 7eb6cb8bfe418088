"""Which extra of this distribution brings a package that is missing, said in one line.

The base install holds the command line and the emulator; whoever talks takes an extra. Nothing is imported here.
"""

import sys

from halfcascade.installing import how_to_install, in_checkout, is_there
from halfcascade.processors.errors import ConfigurationError

PACKAGES = {
    "bot": {"pipecat": "pipecat-ai", "google.genai": "google-genai", "onnxruntime": "onnxruntime"},
    "serve": {"aiortc": "aiortc", "fastapi": "fastapi", "uvicorn": "uvicorn", "prometheus_client": "prometheus-client"},
    "scale": {"ray": "ray", "httpx": "httpx"},
    "talk": {"pyaudio": "pyaudio", "pywebrtc_audio": "pywebrtc-audio"},
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


def require(extra: str, purpose: str) -> None:
    """Make sure that an extra is installed, without importing any of it.

    Args:
        extra: A key of `PACKAGES`.
        purpose: Begins the sentence, such as "Talking".

    Raises:
        MissingExtraError: If it is not.
    """
    if absent := [package for module, package in PACKAGES[extra].items() if not is_there(module)]:
        raise MissingExtraError(f"{purpose} needs {' and '.join(absent)}, not installed here: {_remedy(extra)}")


def _remedy(extra: str) -> str:
    system = _PORTAUDIO.get(sys.platform) if extra == "talk" and not in_checkout() else None
    command = how_to_install(extra)
    return f"{system}, then run {command}." if system else f"run {command}."
