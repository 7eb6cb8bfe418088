"""Checks everything that can keep the bot from talking, one line each with its remedy.

The three services are made and asked as a talk makes them, with its settings and tools, on the servers that it would
take: so "ok" means that ``talk`` would work. Every check ends in limited time, and none ends in a traceback.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from rich.cells import set_cell_size

from halfcascade.bot.backend import Choice, choose_backend
from halfcascade.bot.doctor.findings import Daemons, Finding, Status, within
from halfcascade.bot.listings import print_devices
from halfcascade.bot.session.redaction import Redactor
from halfcascade.bot.settings import Backend, Settings
from halfcascade.bot.terminal import Terminal
from halfcascade.lines import tr, tr_error
from halfcascade.processors.errors import ConfigurationError

if TYPE_CHECKING:
    from halfcascade.bot.toolbox import Toolbox

__all__ = ["Examination", "Finding", "Status", "examine", "expect", "list_devices", "run_doctor"]

# Turn detection's own wait, and the loudspeaker's latency: what no service adds.
_OWN_LATENCY_SECS = 0.35
_IMPORT_SECS = 60.0
_DEVICE_SECS = 20.0
_SOUND_SECS = 30.0
_SHORT_SECS = 15.0
_LABEL_COLUMNS = 6
# Each step has a limit of its own.
_ALL_STEPS_SECS = 600.0

Tell = Callable[[Finding], None]


class Examination:
    """All checks of one talk, in order.

    Args:
        settings: What ``talk`` would use.
        make_noise: Whether a chirp may be played.
        measure_voice: Whether the voice is measured too, which takes most of a minute.
        tell: Called with every finding as it is made.
    """

    def __init__(self, settings: Settings, *, make_noise: bool, tell: Tell, measure_voice: bool = False):
        self.findings: list[Finding] = []
        self._settings = settings
        self._make_noise = make_noise
        self._measure_voice = measure_voice
        self._tell = tell

    async def run(self) -> list[Finding]:
        """Make all checks.

        Returns:
            The findings; the last one says whether ``talk`` would work.
        """
        from halfcascade.bot.doctor import machine

        settings = self._settings
        choice = await self._choose()
        self._note(machine.check_python())
        packages = asyncio.to_thread(machine.check_packages, "bot")
        if await self._check(_IMPORT_SECS, tr("The packages"), packages):
            if not settings.user_audio:
                await self._check_devices()
            await self._check_talk(choice)
        await self._check(_SHORT_SECS, tr("The session folder"), asyncio.to_thread(machine.check_disk, settings))
        self._note(expect(choice, self.findings))
        return self.findings

    async def _check_devices(self) -> None:
        from halfcascade.bot.doctor import machine

        packages = asyncio.to_thread(machine.check_packages, "talk")
        if not await self._check(_IMPORT_SECS, tr("The audio packages"), packages):
            return
        if not await self._check(_DEVICE_SECS, "PortAudio", asyncio.to_thread(machine.check_portaudio)):
            return
        devices = asyncio.to_thread(machine.check_devices, self._settings)
        if await self._check(_DEVICE_SECS, tr("The audio devices"), devices):
            sound = machine.check_sound(self._settings, make_noise=self._make_noise)
            await self._check(_SOUND_SECS, tr("Microphone and loudspeaker"), sound)

    async def _check_talk(self, choice: Choice) -> None:
        from halfcascade.bot.doctor import machine, talk
        from halfcascade.bot.toolbox import Toolbox

        settings = self._settings
        await self._check(_SHORT_SECS, tr("The recording"), asyncio.to_thread(talk.check_recording, settings))
        await self._check(_SHORT_SECS, tr("The language"), asyncio.to_thread(talk.check_language, settings))
        if choice.backend is Backend.GOOGLE:  # the embedded emulator brings it along
            await self._check(_SHORT_SECS, tr("The language"), asyncio.to_thread(talk.check_text_end, settings))
        toolbox = Toolbox(builtin=settings.tools)
        try:
            await self._check(_ALL_STEPS_SECS, tr("The processors"), talk.check_processors(settings))
            await self._check(_ALL_STEPS_SECS, tr("The tools"), talk.check_tools(settings, toolbox))
            ready = await self._check(_SHORT_SECS, tr("The credentials"), talk.check_credentials(choice))
            if choice.backend is Backend.EMULATOR:
                await self._check(
                    _SHORT_SECS, tr("The emulator's ears"), asyncio.to_thread(talk.check_hearing, settings)
                )
                installed = asyncio.to_thread(talk.check_emulator, settings)
                ready = await self._check(_SHORT_SECS, tr("The emulator"), installed)
                ready = ready and await asyncio.to_thread(talk.can_start_emulator, settings)
            await self._check_services(choice, toolbox, ask=ready)
        finally:
            await toolbox.close()
        if choice.backend is Backend.GOOGLE and ready:
            await self._check(_SHORT_SECS, tr("The clock"), machine.check_clock())

    async def _check_services(self, choice: Choice, toolbox: "Toolbox", *, ask: bool) -> None:
        from halfcascade.bot.doctor import talk
        from halfcascade.bot.doctor.voice import measure_voice

        settings = self._settings
        what = tr("The services")
        if not ask:
            made = talk.check_services(settings, toolbox, None, choice.backend, ask=False)
            await self._check(_IMPORT_SECS, what, made)
            return
        async with talk.servers(choice, settings, self._note) as environ:
            asked = talk.check_services(
                settings,
                toolbox,
                environ,
                choice.backend,
                ask=environ is not None,
            )
            ready = await self._check(_ALL_STEPS_SECS, what, asked)
            if ready and self._measure_voice and environ is not None:
                times = [finding.secs for finding in self.findings if finding.secs is not None]
                measured = measure_voice(settings, environ, answer_secs=sum(times) + _OWN_LATENCY_SECS)
                await self._check(_ALL_STEPS_SECS, tr("The voice"), measured)

    async def _choose(self) -> Choice:
        try:
            async with asyncio.timeout(_SHORT_SECS):
                return await asyncio.to_thread(choose_backend, self._settings.backend)
        except (ConfigurationError, TimeoutError):  # told by `check_credentials`
            return Choice(Backend.GOOGLE, "credentials for it were named")

    async def _check(self, secs: float, what: str, check: Awaitable[Sequence[Finding] | Finding]) -> bool:
        """Make one check; whether nothing failed in it."""
        return all([self._note(finding) for finding in await within(secs, what, check)])

    def _note(self, finding: Finding) -> bool:
        self.findings.append(finding)
        self._tell(finding)
        return finding.status is not Status.FAIL


def expect(choice: Choice, findings: Sequence[Finding]) -> Finding:
    """Say which backend ``talk`` would take and how fast it would answer.

    Args:
        choice: The backend.
        findings: What was found, with the services' times.
    """
    failed = sum(finding.status is Status.FAIL for finding in findings)
    if failed:
        remedy = tr("mend one thing above first.") if failed == 1 else tr("mend {count} things above first.")
        line = tr("`talk` would use {backend}, and fail").format(backend=choice.backend)
        return Finding(Status.FAIL, line, remedy.format(count=failed))
    times = [finding.secs for finding in findings if finding.secs is not None]
    reason = tr_error(choice.reason)
    line = tr("`talk` would use {backend} (because {reason})").format(backend=choice.backend, reason=reason)
    if times:
        seconds = f"{sum(times) + _OWN_LATENCY_SECS:.1f}"
        fast = tr("expect an answer about {seconds} s after you stop speaking").format(seconds=seconds)
    else:
        fast = tr("its local models answer as fast as this machine computes, 1 to 3 s on a laptop")
    return Finding(Status.OK, f"{line}: {fast}")


async def examine(settings: Settings, *, make_noise: bool, tell: Tell, measure_voice: bool = False) -> list[Finding]:
    """Make all checks.

    Args:
        settings: What ``talk`` would use.
        make_noise: Whether a chirp may be played.
        tell: Called with every finding as it is made.
        measure_voice: Whether the voice is measured too.

    Returns:
        The findings.
    """
    # A check that hangs in a thread is told as such, and keeps neither the others nor the program waiting.
    asyncio.get_running_loop().set_default_executor(Daemons())
    return await Examination(settings, make_noise=make_noise, tell=tell, measure_voice=measure_voice).run()


def run_doctor(
    settings: Settings | None = None,
    *,
    make_noise: bool = True,
    measure_voice: bool = False,
    terminal: Terminal | None = None,
) -> int:
    """Check everything and print it.

    Args:
        settings: What ``talk`` would use; None reads environment and ``.env``.
        make_noise: Whether a chirp may be played on the loudspeaker.
        measure_voice: Whether the voice is measured too, and settings recommended.
        terminal: Where to print.

    Returns:
        Exit code: 0 if talking would work.
    """
    out = terminal or Terminal()
    redactor = Redactor.from_environment()
    labels = {Status.OK: tr("ok"), Status.WARN: tr("warn"), Status.FAIL: tr("fail")}
    styles = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}

    def tell(finding: Finding) -> None:
        label = set_cell_size(labels[finding.status], _LABEL_COLUMNS)
        out.say(redactor.text(f"{label}{finding}"), styles[finding.status])

    findings = asyncio.run(
        examine(settings or Settings(), make_noise=make_noise, tell=tell, measure_voice=measure_voice)
    )
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

        print_devices(devices.list_devices(), out)
    except ConfigurationError as error:
        out.fail(str(error))
        return 1
    return 0
