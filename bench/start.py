"""How long a person waits from ``halfcascade talk`` to "Talk now", by parts.

python -m bench.start [--starts N] [--user-audio]

Each start is the whole program in a process of its own, on an emulator with the scripted mind in another, that runs
already. On a virtual sound card where there is PulseAudio, else (or with ``--user-audio``) on a recording. The first
start compiles what is not compiled yet, fills the disk's cache and does not count. On a machine that is not quiet,
processor time tells the most.
"""

import argparse
import asyncio
import os
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from halfcascade.bot.backend import Emulator
from halfcascade.bot.logs import LOG_FILE
from tests.virtual_audio import VirtualAudio, missing

_DEMO = Path(__file__).parents[1] / "bot" / "assets" / "demo_user.wav"
_READY = re.compile(rb"Talk now|The recorded user talks")
_PART = re.compile(r"Loaded (.+) in ([\d.]+) s")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Start:
    """One start.

    Parameters:
        wall_secs: By the clock, until "Talk now".
        cpu_secs: Of the processor, by all threads of the program, until then.
        first_line_secs: By the clock, until the first line.
        parts_secs: By the clock, what the program itself says of loading.
    """

    wall_secs: float
    cpu_secs: float
    first_line_secs: float
    parts_secs: dict[str, float] = field(default_factory=dict)


async def start(folder: Path, environ: Mapping[str, str], *options: str) -> Start:
    """Start a talk, and end it as soon as one may talk.

    Args:
        folder: For the session.
        environ: Leads to the servers and the devices.
        *options: Of ``talk``.

    Raises:
        RuntimeError: If it does not get there.
    """
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "halfcascade", "talk", "--plain", "--backend", "google", "--session", str(folder),
        *options,
        env=dict(environ), cwd=folder.parent, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout
    first, told = 0.0, []
    async with asyncio.timeout(120):
        async for line in process.stdout:
            first = first or time.perf_counter() - began
            told.append(line.decode(errors="replace"))
            if _READY.search(line):
                break
        else:
            raise RuntimeError(f"The talk did not begin: {''.join(told)}")
        found = Start(time.perf_counter() - began, _cpu_secs(process.pid), first)
        process.send_signal(signal.SIGINT)
        await process.communicate()
    log = (folder / LOG_FILE).read_text(encoding="utf-8")
    found.parts_secs = {what: float(secs) for what, secs in _PART.findall(log)}
    return found


def _cpu_secs(pid: int) -> float:
    # The name of the program, in parentheses, may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--user-audio", action="store_true", help="play a recording instead of opening devices")
    chosen = parser.parse_args()
    recorded = chosen.user_audio or bool(missing())
    with tempfile.TemporaryDirectory(prefix="start-") as home:
        audio = None if recorded else VirtualAudio(Path(home) / "audio")
        emulator = Emulator(Path(home), mind="scripted")
        try:
            if audio:
                audio.start()
            environ = {**os.environ, **await emulator.start(), **(audio.environment if audio else {})}
            environ["HALFCASCADE_REPORT"] = "false"
            environ.pop("PYTHONDONTWRITEBYTECODE", None)
            options = ("--user-audio", str(_DEMO)) if recorded else ()
            starts = [await start(Path(home) / f"s{number}", environ, *options) for number in range(chosen.starts + 1)]
        finally:
            await emulator.stop()
            if audio:
                audio.stop()
    _print(starts[1:], "a recording" if recorded else "a virtual sound card")


def _print(starts: list[Start], sound: str) -> None:
    loads = "/".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"{len(starts)} starts on {sound}, load {loads}; seconds, median (least to most)\n")
    rows = {
        "to the first line": [one.first_line_secs for one in starts],
        **{f"  {what}": [one.parts_secs[what] for one in starts] for what in starts[0].parts_secs},
        'to "Talk now"': [one.wall_secs for one in starts],
        "  of the processor": [one.cpu_secs for one in starts],
    }
    for name, values in rows.items():
        print(f"| {name} | {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f}) |")


if __name__ == "__main__":
    asyncio.run(main())
