"""What an audio device is to a person: its name, which one was meant, a list to read. No audio library is needed."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from halfcascade.processors.errors import ConfigurationError


class Direction(StrEnum):
    """Which way audio flows."""

    INPUT = "input"
    OUTPUT = "output"

    @property
    def noun(self) -> str:
        """What a person calls such a device."""
        return "microphone" if self is Direction.INPUT else "loudspeaker"

    @property
    def option(self) -> str:
        """Command line option that chooses one."""
        return f"--{self}-device"


@dataclass(frozen=True)
class Device:
    """One way to capture or to play.

    Parameters:
        name: What a person calls it.
        host_api: Which system it belongs to, such as ``Core Audio`` or ``PulseAudio``.
        direction: Whether it captures or plays.
        channels: Most channels it offers.
        sample_rate: Its own rate in Hz.
        default: Whether the system would choose it.
        index: PortAudio's number for it, valid until the next listing.
        server_name: Its name on the sound server where PortAudio cannot tell devices apart, else None.
        identity: What changes when a device of the same name is plugged in again, where the system tells.
    """

    name: str
    host_api: str
    direction: Direction
    channels: int
    sample_rate: int
    default: bool
    index: int
    server_name: str | None = None
    identity: str = ""


@dataclass(frozen=True)
class StreamFormat:
    """How a device is opened.

    Parameters:
        sample_rate: Samples per second.
        channels: Interleaved channels.
    """

    sample_rate: int
    channels: int


_NONE_REMEDY = {
    Direction.INPUT: "plug one in, or let a recording speak with `--user-audio FILE`.",
    Direction.OUTPUT: "plug one in (or start the sound server), or use `--user-audio FILE`, which needs none.",
}


def choose(devices: Sequence[Device], direction: Direction, wanted: str | None) -> Device:
    """Find the device that a person named.

    Args:
        devices: What there is.
        direction: Whether to capture or to play.
        wanted: A device's name or part of it in any case, or None for the system's default.

    Returns:
        The one device meant.

    Raises:
        ConfigurationError: If there is none, the name fits none or several.
    """
    candidates = [device for device in devices if device.direction is direction]
    if not candidates:
        raise ConfigurationError(f"There is no {direction.noun}: {_NONE_REMEDY[direction]}")
    if not wanted:
        return _default_or_first(candidates)
    folded = wanted.casefold()
    found = _called(candidates, lambda name: name == folded) or _called(candidates, lambda name: folded in name)
    if len({device.name for device in found}) > 1:
        several = f"“{wanted}” fits several {direction.noun}s ({_quoted(found)})"
        raise ConfigurationError(f"{several}: give more of the name to {direction.option}.")
    if not found:
        raise ConfigurationError(f"There is no {direction.noun} called “{wanted}”: {_hint(candidates, folded)}")
    # One device may be there under several host APIs.
    return _default_or_first(found)


def _called(devices: Sequence[Device], fits: Callable[[str], bool]) -> list[Device]:
    """The devices of which a name, in lower case, fits."""
    return [
        device for device in devices if any(fits(name.casefold()) for name in (device.name, device.server_name) if name)
    ]


def _default_or_first(devices: Sequence[Device]) -> Device:
    return next((device for device in devices if device.default), devices[0])


def _hint(candidates: Sequence[Device], folded: str) -> str:
    words = {word: device for device in candidates for word in _words(device.name)}
    close = difflib.get_close_matches(folded, words, n=1, cutoff=0.5)
    return f"did you mean “{words[close[0]].name}”?" if close else f"choose from {_quoted(candidates)}."


def _words(name: str) -> list[str]:
    folded = name.casefold()
    return [*folded.split(), folded]


def _quoted(devices: Sequence[Device]) -> str:
    return ", ".join(f"“{device.name}”" for device in devices)
