"""Audio devices: listed, chosen by name, checked before they are opened.

PortAudio names devices as the system does, except on Linux desktops: there its ALSA back end shows one ``pulse`` device
for everything that PulseAudio or PipeWire manages (facts/audio#devices). So where ``pactl`` answers, the sound server's
own devices are listed instead, and one is opened by naming it to that ``pulse`` device through the environment.
"""

import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.extras import missing_extra
from halfcascade.transports.device_names import Device, Direction, StreamFormat, choose
from halfcascade.transports.library_noise import quiet
from halfcascade.transports.sound_server import PROBE_TIMEOUT_SECS, routed, server_devices

try:
    import pyaudio
except ImportError as error:  # also where PortAudio itself is missing
    raise missing_extra("talk", error) from error

__all__ = [
    "Device",
    "Direction",
    "PortAudio",
    "StreamFormat",
    "check_devices",
    "choose",
    "list_devices",
    "open_failure",
    "probe",
    "quiet",
    "routed",
]

_PULSE_DEVICE = "pulse"
_COMMON_RATES = (48_000, 44_100, 24_000, 16_000)
_SETUP_REMEDY = (
    "install the sound system (Debian/Ubuntu: `apt install libportaudio2 libasound2-plugins`) and try again."
)
_MAC_PERMISSION = "allow your terminal under System Settings > Privacy & Security > Microphone."


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
            if pulse is not None and (server := server_devices(pulse)) is not None:
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
        return server_devices(0) or []
    try:
        listing = subprocess.run(
            [sys.executable, "-P", "-m", "halfcascade.transports.devices"],
            capture_output=True, timeout=PROBE_TIMEOUT_SECS, check=True,
        ).stdout  # fmt: skip
        return [Device(**{**entry, "direction": Direction(entry["direction"])}) for entry in json.loads(listing)]
    except (subprocess.SubprocessError, OSError, ValueError, TypeError):
        return None


def check_devices(input_wanted: str | None, output_wanted: str | None) -> None:
    """Find microphone and loudspeaker without opening them, which takes a moment.

    Args:
        input_wanted: Name of the microphone or part of it, or None for the default.
        output_wanted: Name of the loudspeaker or part of it, or None for the default.

    Raises:
        ConfigurationError: If one is missing, or the name fits none.
    """
    portaudio = PortAudio()
    try:
        portaudio.choose(Direction.OUTPUT, output_wanted)
        portaudio.choose(Direction.INPUT, input_wanted)
    finally:
        portaudio.close()


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
        f"The {noun} “{name}” does not open{detail}: see `halfcascade devices`, and choose one with "
        f"{device.direction.option}."
    )


if __name__ == "__main__":
    sys.stdout.write(json.dumps([asdict(device) for device in list_devices()]))
