"""What can be chosen, printed: the settings with where their values come from, voices, models."""

import inspect
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from halfcascade.bot.environment import OTHER_NAMES, PREFIX, Environment
from halfcascade.bot.session.redaction import HIDDEN, Redactor
from halfcascade.bot.settings import Settings
from halfcascade.bot.terminal import Terminal
from halfcascade.lines import tr

if TYPE_CHECKING:
    from halfcascade.transports.devices import Device

GOOGLE_NAMES = {
    "GOOGLE_API_KEY": "Key of the Gemini Developer API.",
    "GEMINI_API_KEY": "The same, by its other name.",
    "GOOGLE_GENAI_USE_VERTEXAI": "`true` takes Gemini from Vertex AI instead.",
    "GOOGLE_CLOUD_PROJECT": "Project that is billed.",
    "GOOGLE_CLOUD_LOCATION": "Location of Vertex AI.",
    "GOOGLE_APPLICATION_CREDENTIALS": "File of a service account's key, or of other credentials.",
    "GOOGLE_GEMINI_BASE_URL": "Server that stands for Gemini.",
    "SPEECH_EMULATOR_HOST": "Server that stands for Speech-to-Text.",
    "TEXTTOSPEECH_EMULATOR_HOST": "Server that stands for Text-to-Speech.",
}
"""Names that Google's libraries read, and what they mean."""

_SECRETS = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
_SECRET_SETTING = re.compile(r"(key|token|secret|password)s?$")
_SHOWN_LENGTH = 60
_UNSET = "not set"


@dataclass(frozen=True)
class Row:
    """A setting as it stands.

    Parameters:
        name: Its name in `Settings`, or Google's name of it.
        value: What it is, free of secrets.
        source: Where that comes from: ``option``, ``environment``, ``.env``, ``default``, or ``not set``.
        default: What it would be otherwise.
        variable: Its name in the environment.
        meaning: One or two sentences.
    """

    name: str
    value: str
    source: str
    default: str
    variable: str
    meaning: str


def describe_settings() -> dict[str, str]:
    """What each setting means, from the docstring of `Settings`."""
    block = inspect.getdoc(Settings).partition("Parameters:\n")[2]  # type: ignore[union-attr]
    parts = re.split(r"^    (\w+): ", block, flags=re.MULTILINE)[1:]
    return {name: " ".join(text.replace("``", "`").split()) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def list_settings(settings: Settings, chosen: Mapping[str, Any], found: Environment) -> Iterator[Row]:
    """List every setting.

    Args:
        settings: As they stand.
        chosen: Options that were given.
        found: What the settings file gave.

    Yields:
        The bot's settings, then the names that others read.
    """
    redactor = Redactor.from_environment()
    meanings = describe_settings()
    for name, info in Settings.model_fields.items():
        variable = f"{PREFIX}{name.upper()}"
        given = next((key for key in os.environ if key.upper() == variable), None)
        value = redactor.text(shown(getattr(settings, name)))
        if value and _SECRET_SETTING.search(name):
            value = HIDDEN
        source = "option" if name in chosen else _source(given, found)
        default = shown(info.get_default(call_default_factory=True))
        yield Row(name, value, source, default, variable, meanings.get(name, ""))
    for name, meaning in {**OTHER_NAMES, **GOOGLE_NAMES}.items():
        value = os.environ.get(name, "")
        value = HIDDEN if value and name in _SECRETS else redactor.text(value)
        yield Row(name, value, _source(name, found) if value else _UNSET, "", name, meaning)


def shown(value: object) -> str:
    """Word a setting's value as the environment would give it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value.value if isinstance(value, Enum) else value)


def print_settings(rows: Iterable[Row], terminal: Terminal, *, explain: bool) -> None:
    """Print the settings by their environment names; what is not the default stands out.

    Args:
        rows: The settings.
        terminal: Where to print.
        explain: Whether each is explained too.
    """
    rows = list(rows)
    width = max(len(row.variable) for row in rows)
    # Values in one column leave no room for themselves on a narrow terminal.
    aligned = width if terminal.columns >= 2 * width else 0
    for row in rows:
        source = tr(row.source)
        if row.source != "default" and row.default:
            source += f", {tr('default: {value}').format(value=_short(row.default))}"
        terminal.say_row(
            row.variable.ljust(aligned),
            _short(row.value) or "-",
            f"({source})",
            style="green" if row.source != "default" else "",
        )
        if explain:
            terminal.say_row("", tr(row.meaning), style="dim")


def settings_page() -> str:
    """The table of docs/settings.md: every setting with its environment name, default and meaning."""
    lines = ["| setting | environment name | default | what it is |", "|---|---|---|---|"]
    meanings = describe_settings()
    for name, info in Settings.model_fields.items():
        default = shown(info.get_default(call_default_factory=True))
        told = f"`{_short(default)}`" if default else "–"
        meaning = meanings[name].replace("|", "\\|")
        lines.append(f"| `{name}` | `{PREFIX}{name.upper()}` | {told} | {meaning} |")
    lines += [f"| – | `{name}` | – | {meaning} |" for name, meaning in OTHER_NAMES.items()]
    return "\n".join(lines)


def _source(given: str | None, found: Environment) -> str:
    if given is None:
        return "default"
    return ".env" if given in found.from_file else "environment"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"


def print_devices(devices: Iterable["Device"], terminal: Terminal) -> None:
    """Print the audio devices, the default of each direction marked with a star.

    Args:
        devices: Of both directions.
        terminal: Where to print.
    """
    from halfcascade.transports.devices import Direction

    found = list(devices)
    titles = {
        Direction.INPUT: tr("Microphones ({option} NAME, or part of it):"),
        Direction.OUTPUT: tr("Loudspeakers ({option} NAME, or part of it):"),
    }
    for direction, title in titles.items():
        terminal.say(title.format(option=direction.option))
        chosen = [device for device in found if device.direction is direction]
        for device in chosen:
            channels = tr("1 channel") if device.channels == 1 else tr("{count} channels").format(count=device.channels)
            mark = "*" if device.default else " "
            terminal.say(f"  {mark} {device.name}  ({device.host_api}, {device.sample_rate} Hz, {channels})")
        if not chosen:
            terminal.say(f"    {tr('none')}")


def print_voices(language: str, terminal: Terminal) -> None:
    """Print the voices of Chirp 3 HD by their full names, and the locales that they speak.

    Args:
        language: Locale whose voices are named.
        terminal: Where to print.
    """
    from halfcascade.processors.chirp_tts.voices import GENDERS, LOCALES

    for gender in ("female", "male"):
        names = ", ".join(sorted(name for name, its in GENDERS.items() if its == gender))
        told = tr("Female voices: {names}") if gender == "female" else tr("Male voices: {names}")
        terminal.say(told.format(names=names))
    terminal.say(tr("Each speaks every locale: {locales}").format(locales=", ".join(LOCALES)))
    told = tr("Choose with --voice and --language, such as --voice Kore --language {language}.")
    terminal.say(told.format(language=language), "dim")


def print_models(terminal: Terminal) -> None:
    """Print the families of Gemini Live models that are known, and the speech models.

    Args:
        terminal: Where to print.
    """
    from halfcascade.processors.gemini_live.protocol.models import DEFAULT_MODEL, LIVE_MODELS
    from halfcascade.processors.google_stt.models import MODELS

    for model in LIVE_MODELS:
        gives = tr("writes text") if model.text_output else tr("speaks; its transcript is read")
        default = tr(", the default") if model.family == DEFAULT_MODEL else ""
        terminal.say(f"{model.family}: {gives}{default}")
    terminal.say(tr("Choose one with --model; names that begin like one of these belong to its family."), "dim")
    for name, row in MODELS.items():
        places = ", ".join(row.locations) or row.location
        terminal.say(tr("{name}: recognizes speech, served in {places}").format(name=name, places=places))
    terminal.say(tr("Choose one with {setting}.").format(setting=f"{PREFIX}STT_MODEL"), "dim")
