"""Lead Google's Python clients to the emulator without a change to the program that makes them.

Google's speech clients know no emulator variable. A Python program started with this folder in ``PYTHONPATH`` follows
``SPEECH_EMULATOR_HOST`` and ``TEXTTOSPEECH_EMULATOR_HOST`` all the same: gRPC channels to those services' hosts lead
to the emulator, REST requests to Google's hosts go to ``GOOGLE_GEMINI_BASE_URL``, and application default credentials
are anonymous. google-genai reads variables of its own; but for Vertex AI it forgets project and location where a base
URL is set, so they are handed to it. The variables are read anew for each channel, request and client.
"""

import functools
import importlib
import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_VARIABLES = {
    "speech.googleapis.com": "SPEECH_EMULATOR_HOST",
    "texttospeech.googleapis.com": "TEXTTOSPEECH_EMULATOR_HOST",
}
Undo = Callable[[], None]


def emulator_for(target: str) -> str | None:
    """Find the emulator that stands in for a gRPC target.

    Args:
        target: ``host:port``, also of a regional endpoint such as ``us-speech.googleapis.com:443``.

    Returns:
        The emulator's ``host:port``, or None where the target is another service or no emulator is named.
    """
    host = target.removeprefix("dns:///").partition(":")[0]
    variable = _variable_of(host)
    return os.environ.get(variable) if variable else None


def _variable_of(host: str) -> str | None:
    for service, variable in _VARIABLES.items():
        if host == service or host.endswith(f"-{service}"):
            return variable
    return None


def emulated_url(url: str) -> str:
    """Give the emulator's URL in place of one of the two services' REST APIs; others stay."""
    parts = urlsplit(url)
    variable = _variable_of(parts.hostname or "")
    base = os.environ.get("GOOGLE_GEMINI_BASE_URL")
    if variable is None or not base or not os.environ.get(variable):
        return url
    there = urlsplit(base)
    return urlunsplit((there.scheme, there.netloc, parts.path, parts.query, parts.fragment))


def _redirecting(secure: Callable[..., Any], insecure: Callable[..., Any]) -> Callable[..., Any]:
    def channel(target: str, credentials: Any, *args: Any, **kwargs: Any) -> Any:
        if emulator := emulator_for(target):
            return insecure(emulator, *args, **kwargs)
        return secure(target, credentials, *args, **kwargs)

    return channel


def _with_project(init: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(init)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        if not args and os.environ.get("GOOGLE_VERTEX_BASE_URL") and not kwargs.get("api_key"):
            vertex = kwargs.get("vertexai")
            if vertex is None:
                vertex = os.environ.get("GOOGLE_GENAI_USE_VERTEXAI", "").lower() in ("true", "1")
            if vertex:
                kwargs["project"] = kwargs.get("project") or os.environ.get("GOOGLE_CLOUD_PROJECT", "emulator")
                kwargs["location"] = kwargs.get("location") or os.environ.get("GOOGLE_CLOUD_LOCATION", "us-central1")
        init(self, *args, **kwargs)

    return wrapped


class _AfterImport(importlib.abc.MetaPathFinder):
    """Changes google-genai once a program imports it: importing it for those who do not would take a second."""

    module = "google.genai._api_client"

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """See ``MetaPathFinder``."""
        if name != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            load(module)
            _lead_genai(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _lead_genai(module: Any) -> Undo:
    client = module.BaseApiClient
    before = client.__init__
    client.__init__ = _with_project(before)

    def undo() -> None:
        client.__init__ = before

    return undo


def _lead_genai_once_imported() -> Undo:
    if module := sys.modules.get(_AfterImport.module):
        return _lead_genai(module)
    finder = _AfterImport()
    sys.meta_path.insert(0, finder)

    def undo() -> None:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)

    return undo


def redirect() -> Undo:
    """Lead clients that are made from now on.

    Returns:
        Undoes it.
    """
    try:
        import google.auth
        import google.auth.transport.requests as transport
        import grpc
        import grpc.aio
        from google.auth.credentials import AnonymousCredentials
    except ImportError:  # a program without Google's clients
        return lambda: None

    known = google.auth.default
    request = transport.AuthorizedSession.request

    def default(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        emulated = any(os.environ.get(variable) for variable in _VARIABLES.values())
        # The emulator's own service account, where it is named, can also fetch tokens.
        if not emulated or os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
            return known(*args, **kwargs)
        return AnonymousCredentials(), os.environ.get("GOOGLE_CLOUD_PROJECT", "emulator")

    def redirected(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        return request(self, method, emulated_url(url), *args, **kwargs)

    replaced: list[tuple[Any, str, Any]] = [
        (grpc, "secure_channel", _redirecting(grpc.secure_channel, grpc.insecure_channel)),
        (grpc.aio, "secure_channel", _redirecting(grpc.aio.secure_channel, grpc.aio.insecure_channel)),
        (google.auth, "default", default),
        (transport.AuthorizedSession, "request", redirected),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    for owner, name, value in replaced:
        setattr(owner, name, value)

    undo_genai = _lead_genai_once_imported()

    def undo() -> None:
        undo_genai()
        for owner, name, value in before:
            setattr(owner, name, value)

    return undo


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


if __name__ == "sitecustomize":
    if any(os.environ.get(variable) for variable in _VARIABLES.values()):
        redirect()
    _load_the_other()
