"""Local audio beside Pipecat's own transport, on a virtual sound card.

``python -m bench.audio [--quick] [--only NAME]`` prints a table and one JSON line. Needs PulseAudio (see
``tests/virtual_audio.py``); takes about ten minutes.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.transports.base_transport import BaseTransport
from pipecat.transports.local.audio import LocalAudioTransport, LocalAudioTransportParams

from bench import audio_live, audio_scenes
from tests.virtual_audio import VirtualAudio, missing
from transports.devices import quiet
from transports.local import LocalDuplexParams, LocalDuplexTransport

Row = tuple[str, str, str, str]
_PYTHONS_SWITCH_SECS = 0.005
_EQUAL_DBFS, _LOUDER_DBFS = -26.0, -18.0


def stock() -> BaseTransport:
    """Pipecat's own, in an interpreter as it comes: the other transport makes threads switch sooner."""
    sys.setswitchinterval(_PYTHONS_SWITCH_SECS)
    with quiet():
        return LocalAudioTransport(LocalAudioTransportParams(audio_in_enabled=True, audio_out_enabled=True))


def ours() -> BaseTransport:
    """This project's, with its defaults."""
    return LocalDuplexTransport(LocalDuplexParams())


def without_cancelling() -> BaseTransport:
    """This project's, for the rows whose bot is a steady tone: AEC3 lets nobody through beside one."""
    return LocalDuplexTransport(LocalDuplexParams(echo_cancel=False))


class Bench:
    """Runs the measurements and collects rows and values."""

    def __init__(self, audio: VirtualAudio, *, quick: bool):
        self._audio = audio
        self._quick = quick
        self.rows: list[Row] = []
        self.values: dict[str, Any] = {}

    async def scenes(self) -> None:
        """Simulated: false starts and barge-ins, equal level and 8 dB louder."""
        count = 2 if self._quick else 9
        for name, dbfs, goals in (
            ("equal level", _EQUAL_DBFS, ("0", ">= 51/54, <= 0.35 s")),
            ("8 dB louder", _LOUDER_DBFS, ("<= 1/54", "-")),
        ):
            plain = await asyncio.to_thread(audio_scenes.judge, dbfs, cancel=False, params=VADParams(), scenes=count)
            own = await asyncio.to_thread(
                audio_scenes.judge, dbfs, cancel=True, params=audio_scenes.BARGE_IN_PARAMS, scenes=count
            )
            default = await asyncio.to_thread(audio_scenes.judge, dbfs, cancel=True, params=VADParams(), scenes=count)
            self._row(f"bot interrupts itself, {name} (simulated)", _false(plain), _false(own), goals[0])
            self._row(f"barge-ins found, {name} (simulated)", _found(plain), _found(own), goals[1])
            self._row("  the same with Pipecat's VAD defaults", "", f"{_false(default)} false, {_found(default)}", "-")
            self._row("  user alone heard", _alone(plain), _alone(own), "all")
            self._keep(f"scenes {name}", stock=plain, ours=own, ours_default_vad=default)

    async def open_speaker(self) -> None:
        """Live on the virtual sound card: false starts and barge-ins with an open loudspeaker."""
        count = 3 if self._quick else 12
        got = await self._both(lambda make: audio_live.open_speaker(self._audio, make, count, -6.0))
        for title, show in (
            ("bot interrupts itself, open speaker (live)", _live_false),
            ("barge-ins found (live)", _found),
        ):
            self._row(title, show(got["stock"]), show(got["ours"]), "0" if "itself" in title else "9 of 10")
        self._keep("open_speaker", **got)

    async def gaps(self) -> None:
        """Gaps in twelve seconds of tone."""
        for title, goal, arguments in (
            ("gaps in 12 s, loop blocked 100 of 200 ms", "0", {"block_secs": 0.1}),
            ("gaps in 12 s, one busy Python thread", "-", {"threads": 1}),
            ("gaps in 12 s, undisturbed", "0", {}),
        ):
            got = await self._both(lambda make, given=arguments: audio_live.gaps(self._audio, make, **given))
            self._row(title, _gaps(got["stock"]), _gaps(got["ours"]), goal)
            self._keep(title, **got)

    async def stops(self) -> None:
        """Interruption to silence at the loudspeaker, and saying to sound."""
        count = 4 if self._quick else 12
        got = await self._both(lambda make: audio_live.stop_latency(self._audio, make, count))
        self._row("interruption to silence", _range(got["stock"][1]), _range(got["ours"][1]), "<= 60 ms")
        self._row("saying to sound", _range(got["stock"][0]), _range(got["ours"][0]), "-")
        self._keep("stop_secs", stock=got["stock"][1], ours=got["ours"][1])
        self._keep("start_secs", stock=got["stock"][0], ours=got["ours"][0])

    async def recoveries(self) -> None:
        """Microphone unplugged and replugged, sound server killed and restarted."""
        for title, measure in (("unplug, replug", audio_live.unplugged), ("server restart", audio_live.server_death)):
            got = await self._both(lambda make, run=measure: run(self._audio, make), own=without_cancelling)
            self._row(f"{title}: back after", _back(got["stock"]), _back(got["ours"]), "<= 2 s")
            self._row(f"{title}: reply kept", _kept(got["stock"]), _kept(got["ours"]), "kept")
            self._keep(title, **got)

    async def _both(
        self,
        measure: Callable[[Callable[[], BaseTransport]], Awaitable[Any]],
        own: Callable[[], BaseTransport] = ours,
    ) -> dict[str, Any]:
        results = {}
        for name, make in (("stock", stock), ("ours", own)):
            self._audio.restore()
            try:
                results[name] = await measure(make)
            except Exception as error:  # a transport that falls over is a result, and the other one is still measured
                results[name] = error
        return results

    def _row(self, title: str, plain: str, own: str, goal: str) -> None:
        self.rows.append((title, plain, own, goal))
        sys.stderr.write(f"{title}: stock {plain}, ours {own}\n")

    def _keep(self, name: str, **values: Any) -> None:
        self.values[name] = {key: _plain(value) for key, value in values.items()}


def _shown(show: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: f"fails: {type(value).__name__}" if isinstance(value, Exception) else show(value)


_false = _shown(lambda verdict: f"{verdict.false_starts}/{verdict.bot_alone}")
_live_false = _shown(lambda live: f"{live.false_starts}/{live.utterances}")
_alone = _shown(lambda verdict: f"{verdict.user_heard}/{verdict.user_alone}")
_gaps = _shown(lambda gaps: f"{gaps.count} ({gaps.total_secs * 1000:.0f} ms)")
_kept = _shown(lambda recovery: f"{recovery.reply_kept:.0%}")
_back = _shown(
    lambda recovery: f"microphone {_seconds(recovery.microphone_secs)}, speaker {_seconds(recovery.speaker_secs)}"
)
_found = _shown(
    lambda verdict: (
        f"{verdict.found}/{verdict.barge_ins}"
        + (f", {statistics.median(verdict.delays):.2f} s" if verdict.delays else "")
    )
)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _range(values: Any) -> str:
    if isinstance(values, Exception) or not values:
        return "none"
    ordered = sorted(value * 1000 for value in values)
    return f"{ordered[0]:.0f}-{ordered[-1]:.0f} ms, median {statistics.median(ordered):.0f}"


def _plain(value: Any) -> Any:
    if isinstance(value, Exception):
        return {"error": str(value)}
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def table(rows: list[Row]) -> str:
    """Lay the rows out as Markdown."""
    head: list[Row] = [("", "stock Pipecat", "halfcascade", "goal")]
    widths = [max(len(row[column]) for row in head + rows) for column in range(4)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in head + rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


async def run(names: list[str], *, quick: bool) -> int:
    """Measure and print.

    Args:
        names: Which measurements.
        quick: Fewer repetitions.

    Returns:
        Exit code.
    """
    with tempfile.TemporaryDirectory(prefix="va") as directory:
        audio = VirtualAudio(Path(directory))
        audio.start()
        os.environ.update(audio.environment)
        bench = Bench(audio, quick=quick)
        try:
            for name in names:
                await getattr(bench, name)()
        finally:
            audio.stop()
    print(table(bench.rows))
    print(json.dumps({"bench": "audio", **bench.values}))
    return 0


def main() -> int:
    """Parse the command line and measure."""
    measurements = ("scenes", "open_speaker", "gaps", "stops", "recoveries")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: a sanity check")
    parser.add_argument("--only", action="append", choices=measurements, help="one measurement; repeatable")
    options = parser.parse_args()
    if reason := missing():
        print(reason, file=sys.stderr)
        return 1
    logger.remove()
    warnings.simplefilter("ignore")
    return asyncio.run(run(options.only or list(measurements), quick=options.quick))


if __name__ == "__main__":
    sys.exit(main())
