"""Checks of the machine: Python, packages, devices, clock, disk."""

import asyncio
import email.utils
import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from halfcascade.bot.doctor.findings import Finding, Status, failure
from halfcascade.bot.settings import Settings
from halfcascade.installing import in_checkout
from halfcascade.lines import tr
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.extras import missing_extra

if TYPE_CHECKING:
    from halfcascade.bot.doctor.audio import AudioReading

_PACKAGES = {
    "bot": {
        "pipecat-ai": "pipecat",
        "google-genai": "google.genai",
        "google-cloud-speech": "google.cloud.speech_v2",
        "google-cloud-texttospeech": "google.cloud.texttospeech_v1",
        "onnxruntime": "onnxruntime",
        "numpy": "numpy",
    },
    "talk": {"pyaudio": "pyaudio", "pywebrtc-audio": "pywebrtc_audio"},
}
_PYTHON = ((3, 11), (3, 15))
# A recording of both directions at 24 kHz and its events take about 6 MB a minute.
_MEGABYTES_PER_MINUTE = 6
_LOW_MEGABYTES = 500
# Google refuses tokens whose time is off by more than about five minutes.
_CLOCK_OFF_SECS = 240.0
_CLOCK_URL = "https://www.googleapis.com/generate_204"
_CLOCK_TIMEOUT_SECS = 4.0
_GOOD_ERLE_DB = 10.0
_FAINT_ECHO_DB = -45.0


def check_python() -> Finding:
    """Check the interpreter's version."""
    version = platform.python_version()
    if _PYTHON[0] <= sys.version_info[:2] < _PYTHON[1]:
        line = tr("halfcascade {version} from {where}, Python {python} on {system}").format(
            version=_version(),
            where=tr("this checkout") if in_checkout() else tr("the installed package"),
            python=version,
            system=f"{platform.system()} {platform.machine()}",
        )
        return Finding(Status.OK, line)
    low, high = (".".join(map(str, bound)) for bound in _PYTHON)
    line = tr("Python {version} is not supported").format(version=version)
    return Finding(Status.FAIL, line, tr("use one from {low} on, below {high}.").format(low=low, high=high))


def check_packages(extra: str) -> Finding:
    """Check that every package of an extra can be imported.

    Args:
        extra: ``bot`` or ``talk``.
    """
    versions = []
    for package, module in _PACKAGES[extra].items():
        try:
            importlib.import_module(module)
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except ImportError as error:
            return failure(missing_extra(extra, error))
        except OSError as error:  # of a shared library that it needs
            return failure(missing_extra(extra, ImportError(str(error), name=package)))
    line = tr("Packages to talk: {versions}") if extra == "talk" else tr("Packages to run: {versions}")
    return Finding(Status.OK, line.format(versions=", ".join(versions)))


def check_portaudio() -> Finding:
    """Check that PortAudio starts.

    Raises:
        ConfigurationError: If it does not.
    """
    import pyaudio

    from halfcascade.transports.devices import PortAudio

    PortAudio().close()
    return Finding(Status.OK, pyaudio.get_portaudio_version_text().split(",")[0])


def check_devices(settings: Settings) -> list[Finding]:
    """Check that microphone and loudspeaker are there and take a format.

    Args:
        settings: Which devices are wanted.

    Raises:
        ConfigurationError: If PortAudio does not start.
    """
    from halfcascade.transports.devices import Direction, PortAudio

    findings = []
    portaudio = PortAudio()
    try:
        for direction, wanted, rate in (
            (Direction.INPUT, settings.input_device, 16_000),
            (Direction.OUTPUT, settings.output_device, 24_000),
        ):
            try:
                device = portaudio.choose(direction, wanted)
                form = portaudio.format_for(device, rate)
            except ConfigurationError as error:
                findings.append(failure(error))
                continue
            noun = tr("Microphone") if direction is Direction.INPUT else tr("Loudspeaker")
            line = f"{noun}: {device.name} ({device.host_api}, {form.sample_rate} Hz)"
            findings.append(Finding(Status.OK, line))
    finally:
        portaudio.close()
    return findings


async def check_sound(settings: Settings, *, make_noise: bool) -> list[Finding]:
    """Listen to the room, and measure round trip, echo and cancelling with a chirp and some noise.

    Args:
        settings: Which devices to use.
        make_noise: Whether a chirp may be played.

    Raises:
        ConfigurationError: If a device does not open.
    """
    from halfcascade.bot.doctor.audio import listen

    reading = await listen(settings.input_device, settings.output_device, make_noise=make_noise)
    if reading.dead:
        remedy = tr("unmute it, or choose another with --input-device.")
        if sys.platform == "darwin":
            remedy = tr(
                "unmute it, or allow it under System Settings > Privacy & Security > Microphone, or choose another "
                "with --input-device."
            )
        return [Finding(Status.WARN, tr("The microphone gives pure silence"), remedy)]
    line = tr("The microphone hears the room at {level} dBFS").format(level=f"{reading.noise_dbfs:.0f}")
    findings = [Finding(Status.OK, line)]
    return [*findings, judge_echo(reading, settings)] if make_noise else findings


def judge_echo(reading: "AudioReading", settings: Settings) -> Finding:
    """Say whether the bot would hear itself.

    Args:
        reading: What was measured.
        settings: Whether echo cancelling is on.
    """
    if not reading.heard:
        line = tr("No echo of the loudspeaker in the microphone (a headset, or it is muted): barge-in will work")
        return Finding(Status.OK, line)
    measured = tr("round trip {round_trip} ms, echo {echo} dB, {cancelled} dB of it cancelled").format(
        round_trip=f"{reading.round_trip_secs * 1000:.0f}",
        echo=f"{reading.echo_db:+.0f}",
        cancelled=f"{reading.erle_db:.0f}",
    )
    if not settings.echo_cancel:
        line = tr("The bot would hear itself ({measured}), and echo cancelling is off").format(measured=measured)
        return Finding(Status.WARN, line, tr("use a headset, or leave --no-echo-cancel away."))
    if reading.erle_db < _GOOD_ERLE_DB and reading.echo_db > _FAINT_ECHO_DB:
        line = tr("Echo cancelling does not do well here ({measured})").format(measured=measured)
        return Finding(Status.WARN, line, tr("use a headset, or a lower volume, to be able to interrupt."))
    return Finding(Status.OK, tr("Loudspeaker to microphone: {measured}").format(measured=measured))


async def check_clock() -> Finding:
    """Compare this machine's clock with Google's."""
    try:
        off = await asyncio.to_thread(_clock_difference)
    except (OSError, ValueError, TypeError):
        return Finding(Status.OK, tr("The clock could not be compared: Google is not reachable from here"))
    if abs(off) > _CLOCK_OFF_SECS:
        line = tr("The clock is {minutes} min ahead") if off > 0 else tr("The clock is {minutes} min behind")
        line = line.format(minutes=f"{abs(off) / 60:.0f}")
        return Finding(Status.FAIL, line, tr("set it, or Google refuses the credentials."))
    right = tr("The clock is right to within {seconds} s").format(seconds=f"{max(2.0, abs(off)):.0f}")
    return Finding(Status.OK, right)


def check_disk(settings: Settings) -> Finding:
    """Check that a session folder can be written.

    Args:
        settings: Where it goes.
    """
    folder = (settings.session or Path("sessions")).expanduser().absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        line = tr("Sessions cannot be written to {folder}").format(folder=folder)
        return Finding(Status.FAIL, line, tr("choose another with --session DIR."))
    free = shutil.disk_usage(existing).free // 1_000_000
    minutes = free // _MEGABYTES_PER_MINUTE
    if free < _LOW_MEGABYTES:
        line = tr("Only {free} MB are free for sessions, {minutes} minutes").format(free=free, minutes=minutes)
        return Finding(Status.WARN, line, tr("free some space."))
    line = tr("Sessions go to {folder}: room for {hours} hours").format(folder=folder, hours=minutes // 60)
    return Finding(Status.OK, line)


def _version() -> str:
    from halfcascade import __version__

    return __version__


def _clock_difference() -> float:
    """Seconds by which this machine is ahead of Google."""
    request = urllib.request.Request(_CLOCK_URL, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_CLOCK_TIMEOUT_SECS) as answer:  # noqa: S310 - a fixed https URL
            date = answer.headers["Date"]
    except urllib.error.HTTPError as error:
        date = error.headers["Date"]
    return time.time() - email.utils.parsedate_to_datetime(date).timestamp()
