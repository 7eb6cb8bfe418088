"""A saved talk as the beginning of another: the user's part as a recording, and what the talk was set up with."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from halfcascade.bot.report.saved import load_talk
from halfcascade.bot.session.sound_files import read_blocks
from halfcascade.processors.errors import ConfigurationError

_BLOCK_SECS = 60

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
    "one_stream",
    "openers",
    "listening",
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
        blocks = list(read_blocks(talk.recordings, _BLOCK_SECS))
        if not blocks:
            raise ConfigurationError(f"{folder} has no recording, or an empty one: there is nothing to play.")
        soundfile.write(path, np.concatenate([block[:, 0] for block, _ in blocks]), blocks[0][1])
    except (OSError, soundfile.SoundFileError) as error:
        raise ConfigurationError(f"{folder} has no recording that can be played ({error}).") from error
    return path
