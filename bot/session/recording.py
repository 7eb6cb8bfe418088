"""The files of a recording: in which format, cut into which parts, and found again."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_STEM = "conversation"
_SUFFIXES = (".wav", ".flac", ".opus")


class RecordingFormat(StrEnum):
    """How sound is kept.

    Parameters:
        WAV: As it is: 0.35 GB an hour.
        FLAC: Smaller without loss.
        OPUS: Smallest, with some.
    """

    WAV = "wav"
    FLAC = "flac"
    OPUS = "opus"


@dataclass(frozen=True)
class RecordingOptions:
    """How a talk is recorded.

    Parameters:
        format: Format of the files.
        part_secs: Seconds after which another file is begun; 0 keeps all in one.
    """

    format: RecordingFormat = RecordingFormat.WAV
    part_secs: float = 0.0


def part_name(kind: RecordingFormat, part: int) -> str:
    """Name one file of a recording.

    Args:
        kind: Its format.
        part: Its number, from 1.

    Returns:
        The name; the first part has no number.
    """
    return f"{_STEM}{f'-{part}' if part > 1 else ''}.{kind.value}"


def recordings(folder: Path) -> list[Path]:
    """Find a recording.

    Args:
        folder: The session folder.

    Returns:
        Its files, in the order of time; none if there are none.
    """
    parts = {}
    for path in folder.glob(f"{_STEM}*"):
        number = path.stem.removeprefix(_STEM).removeprefix("-") or "1"
        if path.suffix in _SUFFIXES and number.isdecimal():
            parts[int(number)] = path
    return [parts[number] for number in sorted(parts)]
