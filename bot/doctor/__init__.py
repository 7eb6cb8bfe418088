"""Checks everything that can keep the bot from talking, one line each with its remedy."""

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
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from halfcascade.bot.backend import Choice, choose_backend
from halfcascade.bot.settings import Backend, Settings
from halfcascade.bot.terminal import Terminal
from halfcascade.installing import how_to_install
from halfcascade.processors.errors import ConfigurationError

if TYPE_CHECKING:
    from halfcascade.bot.doctor.audio import AudioReading

_PACKAGES = {
    "pipecat-ai": "pipecat",
    "google-genai": "google.genai",
    "google-cloud-speech": "google.cloud.speech_v2",
    "google-cloud-texttospeech": "google.cloud.texttospeech_v1",
    "pyaudio": "pyaudio",
    "pywebrtc-audio": "pywebrtc_audio",
    "numpy": "numpy",
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
# Turn detection's own wait, and the loudspeaker's latency: what no service adds.
_OWN_LATENCY_SECS = 0.35


class Status(StrEnum):
    """How a check went."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Parameters:
        status: ``fail`` means talking would fail.
        line: What was found.
        remedy: What to do about it, empty if nothing.
        secs: How long a service took to begin to answer, where that was measured.
    """

    status: Status
    line: str
    remedy: str = ""
    secs: float | None = None

    def __str__(self) -> str:
        return f"{self.line}: {self.remedy}" if self.remedy else f"{self.line}."


def check_python() -> Finding:
    """Check the interpreter's version."""
    version = platform.python_version()
    if _PYTHON[0] <= sys.version_info[:2] < _PYTHON[1]:
        return Finding(Status.OK, f"Python {version} on {platform.system()} {platform.machine()}")
    low, high = (".".join(map(str, bound)) for bound in _PYTHON)
    return Finding(Status.FAIL, f"Python {version} is not supported", f"use one from {low} on, below {high}.")


def check_packages() -> Finding:
    """Check that every package can be imported."""
    versions = []
    for package, module in _PACKAGES.items():
        try:
            importlib.import_module(module)
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except (ImportError, OSError) as error:
            remedy = "run `make` (or `uv sync`)"
            if package == "pyaudio":
                remedy += "; it needs PortAudio: `apt install portaudio19-dev`, or `brew install portaudio`"
            return Finding(Status.FAIL, f"The package {package} does not load ({error})", f"{remedy}.")
    return Finding(Status.OK, "Packages: " + ", ".join(versions))


def check_portaudio() -> Finding:
    """Check that PortAudio starts."""
    import pyaudio

    from halfcascade.transports.devices import PortAudio

    try:
        PortAudio().close()
    except ConfigurationError as error:
        return Finding(Status.FAIL, *_split(error))
    return Finding(Status.OK, pyaudio.get_portaudio_version_text().split(",")[0])


def check_devices(settings: Settings) -> list[Finding]:
    """Check that microphone and loudspeaker are there and take a format.

    Args:
        settings: Which devices are wanted.
    """
    from halfcascade.transports.devices import Direction, PortAudio

    findings = []
    try:
        portaudio = PortAudio()
    except ConfigurationError:
        return []  # told by `check_portaudio`
    try:
        for direction, wanted, rate in (
            (Direction.INPUT, settings.input_device, 16_000),
            (Direction.OUTPUT, settings.output_device, 24_000),
        ):
            try:
                device = portaudio.choose(direction, wanted)
                form = portaudio.format_for(device, rate)
            except ConfigurationError as error:
                findings.append(Finding(Status.FAIL, *_split(error)))
                continue
            line = f"{direction.noun.capitalize()}: {device.name} ({device.host_api}, {form.sample_rate} Hz)"
            findings.append(Finding(Status.OK, line))
    finally:
        portaudio.close()
    return findings


async def check_sound(settings: Settings, *, make_noise: bool) -> list[Finding]:
    """Listen to the room, and measure round trip, echo and cancelling with a chirp and some noise.

    Args:
        settings: Which devices to use.
        make_noise: Whether a chirp may be played.
    """
    from halfcascade.bot.doctor.audio import listen

    try:
        reading = await listen(settings.input_device, settings.output_device, make_noise=make_noise)
    except ConfigurationError as error:
        return [Finding(Status.FAIL, *_split(error))]
    if reading.dead:
        allow = "allow it under System Settings > Privacy & Security > Microphone" if sys.platform == "darwin" else ""
        remedy = f"unmute it{', or ' + allow if allow else ''}, or choose another with --input-device."
        return [Finding(Status.WARN, "The microphone gives pure silence", remedy)]
    findings = [Finding(Status.OK, f"The microphone hears the room at {reading.noise_dbfs:.0f} dBFS")]
    return [*findings, _judge_echo(reading, settings)] if make_noise else findings


def _judge_echo(reading: "AudioReading", settings: Settings) -> Finding:
    if not reading.heard:
        line = "No echo of the loudspeaker in the microphone (a headset, or it is muted): barge-in will work"
        return Finding(Status.OK, line)
    measured = (
        f"round trip {reading.round_trip_secs * 1000:.0f} ms, echo {reading.echo_db:+.0f} dB, "
        f"{reading.erle_db:.0f} dB of it cancelled"
    )
    if not settings.echo_cancel:
        line = f"The bot would hear itself ({measured}), and echo cancelling is off"
        return Finding(Status.WARN, line, "use a headset, or leave --no-echo-cancel away.")
    if reading.erle_db < _GOOD_ERLE_DB and reading.echo_db > _FAINT_ECHO_DB:
        line = f"Echo cancelling does not do well here ({measured})"
        return Finding(Status.WARN, line, "use a headset, or a lower volume, to be able to interrupt.")
    return Finding(Status.OK, f"Loudspeaker to microphone: {measured}")


def check_credentials(choice: Choice) -> Finding:
    """Check that there is something to authenticate with, and for which project.

    Args:
        choice: Which backend ``talk`` would take.
    """
    from halfcascade.processors.google_clients import (
        SPEECH_EMULATOR_HOST,
        TEXTTOSPEECH_EMULATOR_HOST,
        cloud_access,
        gemini_client,
    )

    if choice.backend is Backend.EMULATOR:
        return Finding(Status.OK, f"Google credentials are not needed: the emulator serves, because {choice.reason}")
    try:
        projects = {cloud_access(host).project for host in (SPEECH_EMULATOR_HOST, TEXTTOSPEECH_EMULATOR_HOST)}
        vertex = gemini_client().vertexai
    except ConfigurationError as error:
        return Finding(Status.FAIL, *_split(error))
    via = "Vertex AI" if vertex else "an API key"
    return Finding(Status.OK, f"Credentials: project {', '.join(sorted(projects))}, Gemini by {via}")


async def check_service(name: str, ask: Callable[[Settings], Awaitable], settings: Settings) -> Finding:
    """Ask one of the three services.

    Args:
        name: What to call it if it fails in an unknown way.
        ask: One of the calls of `halfcascade.bot.doctor.google`.
        settings: What the bot would use.
    """
    try:
        answer = await ask(settings)
    except ConfigurationError as error:
        return Finding(Status.FAIL, *_split(error))
    except Exception as error:  # whatever a client library raises, the other checks go on
        return Finding(Status.FAIL, f"{name} failed ({type(error).__name__})", "check the network and try again.")
    return Finding(Status.OK, f"{answer.line} (in {answer.secs * 1000:.0f} ms)", secs=answer.secs)


def check_emulator(settings: Settings) -> Finding:
    """Check that the embedded emulator's mind is installed.

    Args:
        settings: Where its language model is.
    """
    from halfcascade.emulator.minds.local.packages import lacks_weights, missing_packages, model_file
    from halfcascade.emulator.minds.local.weights import MEGABYTES

    if missing := missing_packages():
        remedy = f"run {how_to_install('demo')}."
        return Finding(Status.FAIL, f"The emulator lacks {', '.join(missing)}", remedy)
    if lacks_weights(settings.llm_path):
        line = f"The embedded emulator is installed; the first talk fetches its language model, {MEGABYTES} MB"
        return Finding(Status.OK, line)
    try:
        model = model_file(settings.llm_path)
    except FileNotFoundError as error:
        return Finding(Status.FAIL, *_split(ConfigurationError(str(error))))
    return Finding(Status.OK, f"The embedded emulator is installed, and thinks with {model.name}")


async def check_clock() -> Finding:
    """Compare this machine's clock with Google's."""
    try:
        off = await asyncio.to_thread(_clock_difference)
    except (OSError, ValueError, TypeError):
        return Finding(Status.OK, "The clock could not be compared: Google is not reachable from here")
    if abs(off) > _CLOCK_OFF_SECS:
        line = f"The clock is {abs(off) / 60:.0f} min {'ahead' if off > 0 else 'behind'}"
        return Finding(Status.FAIL, line, "set it, or Google refuses the credentials.")
    return Finding(Status.OK, f"The clock is right to within {max(2.0, abs(off)):.0f} s")


def check_disk(settings: Settings) -> Finding:
    """Check that a session folder can be written.

    Args:
        settings: Where it goes.
    """
    folder = (settings.session or Path("sessions")).absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding(Status.FAIL, f"Sessions cannot be written to {folder}", "choose another with --session DIR.")
    free = shutil.disk_usage(existing).free // 1_000_000
    minutes = free // _MEGABYTES_PER_MINUTE
    if free < _LOW_MEGABYTES:
        return Finding(Status.WARN, f"Only {free} MB are free for sessions, {minutes} minutes", "free some space.")
    return Finding(Status.OK, f"Sessions go to {folder}: room for {minutes // 60} hours")


def expect(choice: Choice, findings: list[Finding]) -> Finding:
    """Say which backend ``talk`` would take and how fast it would answer.

    Args:
        choice: The backend.
        findings: What was found, with the services' times.
    """
    failed = sum(finding.status is Status.FAIL for finding in findings)
    if failed:
        what = "one thing" if failed == 1 else f"{failed} things"
        return Finding(Status.FAIL, f"`talk` would use {choice.backend}, and fail", f"mend {what} above first.")
    times = [finding.secs for finding in findings if finding.secs is not None]
    line = f"`talk` would use {choice.backend} (because {choice.reason})"
    if times:
        line += f": expect an answer about {sum(times) + _OWN_LATENCY_SECS:.1f} s after you stop speaking"
    else:
        line += ": its local models answer as fast as this machine computes, 1 to 3 s on a laptop"
    return Finding(Status.OK, line)


async def examine(settings: Settings, *, make_noise: bool, tell: Callable[[Finding], None]) -> list[Finding]:
    """Make all checks.

    Args:
        settings: What ``talk`` would use.
        make_noise: Whether a chirp may be played.
        tell: Called with every finding as it is made.

    Returns:
        The findings.
    """
    findings: list[Finding] = []

    def note(*found: Finding) -> bool:
        for finding in found:
            findings.append(finding)
            tell(finding)
        return all(finding.status is not Status.FAIL for finding in found)

    choice = await asyncio.to_thread(_choose, settings)
    note(check_python())
    if note(check_packages()) and not settings.user_audio and note(await asyncio.to_thread(check_portaudio)):
        devices = await asyncio.to_thread(check_devices, settings)
        if note(*devices):
            note(*await check_sound(settings, make_noise=make_noise))
    if note(check_credentials(choice)) and choice.backend is Backend.GOOGLE:
        from halfcascade.bot.doctor.google import ask_brain, ask_ears, ask_voice

        note(
            *await asyncio.gather(
                check_service("Speech-to-Text", ask_ears, settings),
                check_service("Gemini Live", ask_brain, settings),
                check_service("Text-to-Speech", ask_voice, settings),
            )
        )
        note(await check_clock())
    elif choice.backend is Backend.EMULATOR:
        note(check_emulator(settings))
    note(check_disk(settings))
    note(expect(choice, findings))
    return findings


def _choose(settings: Settings) -> Choice:
    try:
        return choose_backend(settings.backend)
    except ConfigurationError:  # told by `check_credentials`
        return Choice(Backend.GOOGLE, "credentials for it were named")


def run_doctor(settings: Settings | None = None, *, make_noise: bool = True, terminal: Terminal | None = None) -> int:
    """Check everything and print it.

    Args:
        settings: What ``talk`` would use; None reads environment and ``.env``.
        make_noise: Whether a chirp may be played on the loudspeaker.
        terminal: Where to print.

    Returns:
        Exit code: 0 if talking would work.
    """
    out = terminal or Terminal()
    styles = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}

    def tell(finding: Finding) -> None:
        out.say(f"{finding.status:<5} {finding}", styles[finding.status])

    findings = asyncio.run(examine(settings or Settings(), make_noise=make_noise, tell=tell))
    return 1 if any(finding.status is Status.FAIL for finding in findings) else 0


def list_devices(terminal: Terminal | None = None) -> int:
    """Print the audio devices.

    Args:
        terminal: Where to print.

    Returns:
        Exit code: 0 if they could be listed.
    """
    out = terminal or Terminal()
    try:
        from halfcascade.transports import devices

        out.say(devices.describe(devices.list_devices()))
    except ConfigurationError as error:
        out.fail(str(error))
        return 1
    return 0


def _clock_difference() -> float:
    """Seconds by which this machine is ahead of Google."""
    request = urllib.request.Request(_CLOCK_URL, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_CLOCK_TIMEOUT_SECS) as answer:  # noqa: S310 - a fixed https URL
            date = answer.headers["Date"]
    except urllib.error.HTTPError as error:
        date = error.headers["Date"]
    return time.time() - email.utils.parsedate_to_datetime(date).timestamp()


def _split(error: ConfigurationError) -> tuple[str, str]:
    """Cause and remedy of a one-line error."""
    cause, _, remedy = str(error).partition(": ")
    return (cause, remedy) if remedy else (cause.rstrip("."), "")
