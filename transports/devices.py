"""Audio devices: listed, chosen by name, checked before they are opened.

PortAudio names devices as the system does, except on Linux desktops: there its ALSA back end shows one ``pulse`` device
for everything that PulseAudio or PipeWire manages (facts/audio#devices). So where ``pactl`` answers, the sound server's
own devices are listed instead, and one is opened by naming it to that ``pulse`` device through the environment.
"""

import contextlib
import ctypes
import ctypes.util
import difflib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from loguru import logger

from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.extras import missing_extra

try:
    import pyaudio
except ImportError as error:  # also where PortAudio itself is missing
    raise missing_extra("talk", error) from error

_PULSE_DEVICE = "pulse"
_COMMON_RATES = (48_000, 44_100, 24_000, 16_000)
_PROBE_TIMEOUT_SECS = 5.0


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


class PortAudio:
    """One fresh initialisation of PortAudio, its noise kept off the terminal.

    PortAudio fixes its list of devices when it is initialised, so a headset plugged in later is invisible until every
    instance of a process was ended: make one per opening and `close` it.
    """

    def __init__(self) -> None:
        """Initialise PortAudio.

        Raises:
            ConfigurationError: If no audio system can be reached.
        """
        try:
            with quiet():
                self.api = pyaudio.PyAudio()
        except OSError as error:
            raise ConfigurationError(f"The audio system does not start ({error}): {_SETUP_REMEDY}") from error

    def devices(self) -> list[Device]:
        """List what can be opened now, inputs first."""
        with quiet():
            raw = [self.api.get_device_info_by_index(i) for i in range(self.api.get_device_count())]
            pulse = next((int(d["index"]) for d in raw if d["name"] == _PULSE_DEVICE), None)
            if pulse is not None and (server := _server_devices(pulse)) is not None:
                return server
            defaults = {
                Direction.INPUT: self._default(Direction.INPUT),
                Direction.OUTPUT: self._default(Direction.OUTPUT),
            }
            hosts = {i: self.api.get_host_api_info_by_index(i)["name"] for i in range(self.api.get_host_api_count())}
        return [
            Device(
                name=str(info["name"]),
                host_api=str(hosts.get(int(info["hostApi"]), "")),
                direction=direction,
                channels=channels,
                sample_rate=int(info["defaultSampleRate"]),
                default=defaults[direction] == info["index"],
                index=int(info["index"]),
            )
            for direction in Direction
            for info in raw
            if (channels := int(info["maxInputChannels" if direction is Direction.INPUT else "maxOutputChannels"])) > 0
        ]

    def choose(self, direction: Direction, wanted: str | None) -> Device:
        """Find the device that a person named; see `choose`."""
        return choose(self.devices(), direction, wanted)

    def format_for(self, device: Device, rate: int) -> StreamFormat:
        """Find a format that the device takes, its own rate first.

        PyAudio ends the process when it opens an index that does not exist (facts/audio#devices), so this check comes
        first.

        Args:
            device: What to open.
            rate: The rate wanted if the device does not take its own.

        Returns:
            Format to open it with.

        Raises:
            ConfigurationError: If the device is gone, busy, or takes no format.
        """
        if not 0 <= device.index < self.api.get_device_count():
            raise ConfigurationError(
                f"The {device.direction.noun} “{device.name}” is gone: plug it in, or choose another."
            )
        channels = [count for count in (1, 2, device.channels) if count <= device.channels]
        failure: Exception | None = None
        for sample_rate in dict.fromkeys((device.sample_rate, rate, *_COMMON_RATES)):
            for count in dict.fromkeys(channels):
                name = str(device.direction)
                arguments: dict[str, Any] = {
                    f"{name}_device": device.index,
                    f"{name}_channels": count,
                    f"{name}_format": pyaudio.paInt16,
                }
                try:
                    with quiet(), routed(device):
                        self.api.is_format_supported(sample_rate, **arguments)
                    return StreamFormat(sample_rate, count)
                except ValueError as error:
                    failure = error
        raise open_failure(device, failure)

    def close(self) -> None:
        """End this initialisation."""
        with quiet():
            self.api.terminate()

    def _default(self, direction: Direction) -> int | None:
        try:
            info = (
                self.api.get_default_input_device_info()
                if direction is Direction.INPUT
                else self.api.get_default_output_device_info()
            )
        except OSError:
            return None
        return int(info["index"])


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
        return next((device for device in candidates if device.default), candidates[0])
    folded = wanted.casefold()
    for fits in (lambda name: name.casefold() == folded, lambda name: folded in name.casefold()):
        found = [
            device for device in candidates if fits(device.name) or (device.server_name and fits(device.server_name))
        ]
        if len(found) > 1 and len({device.name for device in found}) == 1:
            found = [
                next((device for device in found if device.default), found[0])
            ]  # one device under several host APIs
        if len(found) == 1:
            return found[0]
        if found:
            raise ConfigurationError(
                f"“{wanted}” fits several {direction.noun}s ({_quoted(found)}): give more of the name to "
                f"{direction.option}."
            )
    words = {word: device for device in candidates for word in _words(device.name)}
    close = difflib.get_close_matches(folded, words, n=1, cutoff=0.5)
    hint = f"did you mean “{words[close[0]].name}”?" if close else f"choose from {_quoted(candidates)}."
    raise ConfigurationError(f"There is no {direction.noun} called “{wanted}”: {hint}")


def list_devices() -> list[Device]:
    """List every audio device, inputs first.

    Raises:
        ConfigurationError: If no audio system can be reached.
    """
    portaudio = PortAudio()
    try:
        return portaudio.devices()
    finally:
        portaudio.close()


def probe(sound_server: bool) -> list[Device] | None:
    """List the devices as they are now, without touching this process's open streams.

    PortAudio sees new devices only after all of it was closed, so the listing is made by the sound server where there
    is one, else by another process. Takes up to a second; not for the event loop.

    Args:
        sound_server: Whether the devices in use belong to a sound server; when it does not answer, there are none.

    Returns:
        The devices, or None if the system could not be asked.
    """
    if sound_server:
        return _server_devices(0) or []
    try:
        listing = subprocess.run(
            [sys.executable, "-P", "-m", "halfcascade.transports.devices"],
            capture_output=True, timeout=_PROBE_TIMEOUT_SECS, check=True,
        ).stdout  # fmt: skip
        return [Device(**{**entry, "direction": Direction(entry["direction"])}) for entry in json.loads(listing)]
    except (subprocess.SubprocessError, OSError, ValueError, TypeError):
        return None


def describe(devices: Sequence[Device]) -> str:
    """Write a list of devices for a person, the default of each direction marked with a star."""
    lines = []
    for direction in Direction:
        lines.append(f"{direction.noun.capitalize()}s ({direction.option} NAME, or part of it):")
        chosen = [device for device in devices if device.direction is direction]
        lines += [
            f"  {'*' if device.default else ' '} {device.name}  ({device.host_api}, {device.sample_rate} Hz, "
            f"{device.channels} channel{'s' if device.channels != 1 else ''})"
            for device in chosen
        ] or ["    none"]
    return "\n".join(lines)


def open_failure(device: Device, error: Exception | None) -> ConfigurationError:
    """Say in one line why a device does not open, and what to do."""
    noun, name = device.direction.noun, device.name
    number = next((arg for arg in getattr(error, "args", ()) if isinstance(arg, int)), None)
    if number == pyaudio.paDeviceUnavailable:
        return ConfigurationError(
            f"The {noun} “{name}” is busy: close the program that uses it, or choose another with "
            f"{device.direction.option}."
        )
    if sys.platform == "darwin" and device.direction is Direction.INPUT and number == pyaudio.paUnanticipatedHostError:
        return ConfigurationError(f"The microphone “{name}” may not be used: {_MAC_PERMISSION}")
    detail = f" ({error.args[0]})" if error and error.args else ""
    return ConfigurationError(
        f"The {noun} “{name}” does not open{detail}: see `python -m bot devices`, and choose one with "
        f"{device.direction.option}."
    )


@contextlib.contextmanager
def routed(device: Device) -> Iterator[None]:
    """While opened inside, PortAudio's one sound server device leads to this one."""
    if device.server_name is None:
        yield
        return
    variable = "PULSE_SOURCE" if device.direction is Direction.INPUT else "PULSE_SINK"
    with _environment_lock:
        before = os.environ.get(variable)
        os.environ[variable] = device.server_name
        try:
            yield
        finally:
            if before is None:
                del os.environ[variable]
            else:
                os.environ[variable] = before


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what audio libraries print on stderr off the terminal; it goes to the debug log.

    ALSA and JACK get silent error handlers once, for good: they complain from device threads at any time. What else
    prints does so while devices are listed or opened, so the file descriptor is turned away meanwhile. Threads may
    overlap: the last one out turns it back.
    """
    _silence_libraries()
    _stderr.enter()
    try:
        yield
    finally:
        _stderr.leave()


class _StderrAside:
    """File descriptor 2, led to a temporary file while anybody is inside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved = -1
        self._file: Any = None

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            try:
                self._saved = os.dup(2)
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the last thread to leave
                os.dup2(self._file.fileno(), 2)
            except OSError:
                self._saved = -1  # no stderr, or no room for a file: let them print

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside or self._saved < 0:
                return
            os.dup2(self._saved, 2)
            os.close(self._saved)
            self._saved = -1
            self._file.seek(0)
            said = self._file.read().decode(errors="replace")
            self._file.close()
        for line in said.splitlines():
            logger.debug(f"audio library: {line}")


_stderr = _StderrAside()
_environment_lock = threading.RLock()
_silenced = threading.Event()

_SETUP_REMEDY = (
    "install the sound system (Debian/Ubuntu: `apt install libportaudio2 libasound2-plugins`) and try again."
)
_MAC_PERMISSION = "allow your terminal under System Settings > Privacy & Security > Microphone."
_NONE_REMEDY = {
    Direction.INPUT: "plug one in, or let a recording speak with `--user-audio FILE`.",
    Direction.OUTPUT: "plug one in (or start the sound server), or use `--user-audio FILE`, which needs none.",
}


def _silence_libraries() -> None:
    if _silenced.is_set() or sys.platform != "linux":
        return
    _silenced.set()
    # The handler must be C code, for it is called on device threads without Python's lock: any function that
    # ignores its arguments will do.
    with contextlib.suppress(OSError, AttributeError):
        handler = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
        for library, names in (
            ("asound", ("snd_lib_error_set_handler",)),
            ("jack", ("jack_set_error_function", "jack_set_info_function")),
        ):
            with contextlib.suppress(OSError, AttributeError):
                loaded = ctypes.CDLL(ctypes.util.find_library(library) or f"lib{library}.so")
                for name in names:
                    getattr(loaded, name)(handler)


def _words(name: str) -> list[str]:
    folded = name.casefold()
    return [*folded.split(), folded]


def _quoted(devices: Sequence[Device]) -> str:
    return ", ".join(f"“{device.name}”" for device in devices)


def _server_devices(index: int) -> list[Device] | None:
    """Ask PulseAudio, or PipeWire in its place; None where neither answers."""
    if sys.platform != "linux" or (pactl := shutil.which("pactl")) is None:
        return None

    def ask(*question: str) -> Any:
        done = subprocess.run(  # noqa: S603 - fixed questions
            [pactl, "--format=json", *question],
            capture_output=True, timeout=_PROBE_TIMEOUT_SECS, check=True, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
        return json.loads(done.stdout)

    try:
        info = ask("info")
        listings = {
            Direction.INPUT: (ask("list", "sources"), info.get("default_source_name")),
            Direction.OUTPUT: (ask("list", "sinks"), info.get("default_sink_name")),
        }
        host = "PipeWire" if "PipeWire" in str(info.get("server_name")) else "PulseAudio"
        return [
            Device(
                name=str(entry.get("description") or entry["name"]),
                host_api=host,
                direction=direction,
                channels=int(str(entry["sample_specification"]).split()[1].removesuffix("ch")),
                sample_rate=int(str(entry["sample_specification"]).split()[2].removesuffix("Hz")),
                default=entry["name"] == default,
                index=index,
                server_name=str(entry["name"]),
                identity=str(entry["index"]),
            )
            for direction, (entries, default) in listings.items()
            for entry in entries
            # A monitor is what a loudspeaker plays, not a microphone.
            if direction is Direction.OUTPUT or not entry.get("monitor_source")
        ]
    except (subprocess.SubprocessError, OSError, ValueError, KeyError, IndexError):
        return None


if __name__ == "__main__":
    sys.stdout.write(json.dumps([asdict(device) for device in list_devices()]))
