"""The devices of PulseAudio, or of PipeWire in its place, which PortAudio cannot tell apart (facts/audio#devices)."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

from halfcascade.transports.device_names import Device, Direction

PROBE_TIMEOUT_SECS = 5.0
"""How long the system may take to tell its devices."""

_environment_lock = threading.RLock()


def server_devices(index: int) -> list[Device] | None:
    """List the sound server's devices, inputs first.

    Args:
        index: PortAudio's number of the one device that leads to the server.

    Returns:
        The devices, or None where no server answers.
    """
    pactl = shutil.which("pactl") if sys.platform == "linux" else None
    if pactl is None:
        return None

    def ask(*question: str) -> Any:
        done = subprocess.run(  # noqa: S603 - fixed questions
            [pactl, "--format=json", *question],
            capture_output=True, timeout=PROBE_TIMEOUT_SECS, check=True, env={**os.environ, "LC_ALL": "C"},
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
