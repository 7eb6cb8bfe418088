"""The settings file and the environment: read with care, and what is odd in them told in one line each."""

import difflib
import io
import os
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv.main import resolve_variables
from dotenv.parser import parse_stream

from halfcascade.bot.serve.settings import SERVE_PREFIX, ServeSettings
from halfcascade.bot.settings import Settings
from halfcascade.processors.errors import ConfigurationError

PREFIX = "HALFCASCADE_"
SETTINGS_FILE = Path(".env")
OTHER_NAMES = {
    "HALFCASCADE_TURN_LLM_PATH": "A GGUF file that judges whether words end a sentence, instead of the small model "
    "that is installed.",
}
"""Names with the prefix that ears and turns read by themselves, and what they mean."""
_RENAMED = {"HALFCASCADE_LLM": ("HALFCASCADE_LLM_PATH", "HALFCASCADE_TURN_LLM_PATH")}

# Whose empty values are left-overs of a template: Google's libraries take some of them for a name.
_OURS_AND_GOOGLES = (PREFIX, "GOOGLE_", "GEMINI_", "SPEECH_EMULATOR_", "TEXTTOSPEECH_EMULATOR_")
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass
class Environment:
    """What was found before the settings are made.

    Parameters:
        from_file: Names that the settings file gave and the environment did not.
        warnings: One line each for a person.
    """

    from_file: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)


def load_environment(path: Path = SETTINGS_FILE, environ: MutableMapping[str, str] | None = None) -> Environment:
    """Put the settings file below the environment, and take empty values out of both.

    Google's libraries read their names (``GOOGLE_API_KEY``, …) from the environment only, so the file goes there.

    Args:
        path: The settings file; it need not exist.
        environ: Where to put it; None means this process's environment.

    Returns:
        What was found.

    Raises:
        ConfigurationError: If the file cannot be read.
    """
    variables = os.environ if environ is None else environ
    found = Environment()
    for name in [name for name, value in variables.items() if name.startswith(_OURS_AND_GOOGLES) and not value.strip()]:
        del variables[name]
    for name, value in _read(path, found.warnings).items():
        if name not in variables and value.strip():
            variables[name] = value
            found.from_file.add(name)
    for old, new in _RENAMED.items():
        if old in variables:
            value = variables.pop(old)
            found.warnings.append(f"{old} is called {' and '.join(new)} now: write those.")
            for name in new:
                variables.setdefault(name, value)
    found.warnings += _unknown(variables)
    return found


def known_names() -> list[str]:
    """Environment names of all settings, and the others with the prefix."""
    served = (f"{SERVE_PREFIX}{name.upper()}" for name in ServeSettings.model_fields)
    return [*(f"{PREFIX}{name.upper()}" for name in Settings.model_fields), *served, *OTHER_NAMES]


def _read(path: Path, warnings: list[str]) -> dict[str, str]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError(
            f"The settings file {path} cannot be read ({error.strerror}): make it a readable text file, or remove it."
        ) from error
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeError as error:
        raise ConfigurationError(f"The settings file {path} is not UTF-8 text: save it as UTF-8.") from error
    if "\0" in text:
        raise ConfigurationError(f"The settings file {path} holds bytes that are no text: save it as UTF-8.")
    values: list[tuple[str, str | None]] = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key and binding.value is None):
            warnings.append(f"Line {binding.original.line} of {path} is left out: write it as NAME=value.")
        elif binding.key and binding.value is not None:
            values.append((binding.key, binding.value))
    resolved = resolve_variables(values, override=False)
    return {name: value for name, value in resolved.items() if value is not None}


def _unknown(names: Iterable[str]) -> list[str]:
    known = known_names()
    warnings = []
    # Environment names are case-insensitive for settings, as they are on Windows.
    for name in sorted(name for name in names if name.upper().startswith(PREFIX) and name.upper() not in known):
        # A name cut short is nearer to the whole one than to another of its own length.
        near = [each for each in known if len(name) > len(PREFIX) + 2 and each.startswith(name.upper())]
        near = near or difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.7)
        hint = f"did you mean {near[0]}?" if near else "`halfcascade settings` lists all."
        warnings.append(f"{name} is no setting: {hint}")
    return warnings
