"""A saved talk as the beginning of another: the user's part as a recording, and what the talk was set up with."""

from pathlib import Path
from typing import Any

import soundfile

from halfcascade.bot.report.saved import load_talk
from halfcascade.processors.errors import ConfigurationError

# What decides how a talk goes; where it was held and what it was heard through is today's.
_KEPT = (
    "language",
    "voice",
    "model",
    "instruction",
    "greeting",
    "stt_model",
    "stt_languages",
    "speaking_rate",
    "first_wait",
    "short_start",
    "openers",
    "tools",
    "speculate",
    "understand_barge_in",
)


def settings_of_talk(folder: Path) -> dict[str, Any]:
    """What a saved talk was set up with, as far as it decides how the talk goes.

    Args:
        folder: The session folder.

    Returns:
        Settings by name.

    Raises:
        ConfigurationError: If it holds no session.
    """
    title = load_talk(folder).title
    settings = title.get("settings")
    kept = {name: settings[name] for name in _KEPT if name in settings} if isinstance(settings, dict) else {}
    # Folders of earlier versions hold these three only.
    return {**{name: title[name] for name in ("language", "voice", "model") if title.get(name)}, **kept}


def write_user_part(folder: Path, path: Path) -> Path:
    """Write what the microphone heard in a saved talk.

    Args:
        folder: The session folder.
        path: The WAV file to make.

    Returns:
        The file.

    Raises:
        ConfigurationError: If the folder holds no session or no recording.
    """
    talk = load_talk(folder)
    try:
        samples, rate = soundfile.read(talk.recording, dtype="int16", always_2d=True)
        soundfile.write(path, samples[:, 0], rate)
    except (OSError, soundfile.SoundFileError) as error:
        raise ConfigurationError(f"{folder} has no recording that can be played ({error}).") from error
    if not len(samples):
        raise ConfigurationError(f"The recording in {folder} is empty: there is nothing to play.")
    return path
