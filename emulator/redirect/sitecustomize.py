"""Lead Google's Python clients to the emulator without a change to the program that makes them.

Google's speech clients know no emulator variable. A Python program started with this folder in ``PYTHONPATH`` follows
``SPEECH_EMULATOR_HOST`` and ``TEXTTOSPEECH_EMULATOR_HOST`` all the same: gRPC channels to those services' hosts lead
to the emulator, and application default credentials are anonymous. google-genai reads variables of its own.
"""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_VARIABLES = {
    "speech.googleapis.com": "SPEECH_EMULATOR_HOST",
    "texttospeech.googleapis.com": "TEXTTOSPEECH_EMULATOR_HOST",
}


def emulator_for(target: str) -> str | None:
    """Find the emulator that stands in for a gRPC target.

    Args:
        target: ``host:port``, also of a regional endpoint such as ``us-speech.googleapis.com:443``.

    Returns:
        The emulator's ``host:port``, or None where the target is another service or no emulator is named.
    """
    host = target.removeprefix("dns:///").partition(":")[0]
    for service, variable in _VARIABLES.items():
        if host == service or host.endswith(f"-{service}"):
            return os.environ.get(variable)
    return None


def _redirecting(secure: Callable[..., Any], insecure: Callable[..., Any]) -> Callable[..., Any]:
    def channel(target: str, credentials: Any, *args: Any, **kwargs: Any) -> Any:
        if emulator := emulator_for(target):
            return insecure(emulator, *args, **kwargs)
        return secure(target, credentials, *args, **kwargs)

    return channel


def _redirect() -> None:
    try:
        import google.auth
        import grpc
        import grpc.aio
        from google.auth.credentials import AnonymousCredentials
    except ImportError:  # a program without Google's clients
        return

    def anonymous(*args: Any, **kwargs: Any) -> tuple[AnonymousCredentials, str]:
        return AnonymousCredentials(), os.environ.get("GOOGLE_CLOUD_PROJECT", "emulator")

    grpc.secure_channel = _redirecting(grpc.secure_channel, grpc.insecure_channel)
    grpc.aio.secure_channel = _redirecting(grpc.aio.secure_channel, grpc.aio.insecure_channel)
    google.auth.default = anonymous


def _load_the_other() -> None:
    """Load the ``sitecustomize`` that this one hides, if the installation has one."""
    here = Path(__file__).resolve().parent
    path, sys.path = sys.path, [entry for entry in sys.path if Path(entry or ".").resolve() != here]
    this = sys.modules.pop("sitecustomize", None)
    try:
        importlib.import_module("sitecustomize")
    except ImportError:
        if this is not None:
            sys.modules["sitecustomize"] = this
    finally:
        sys.path = path


if any(os.environ.get(variable) for variable in _VARIABLES.values()):
    _redirect()
if __name__ == "sitecustomize":
    _load_the_other()
