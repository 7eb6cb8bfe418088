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
from functools import partial
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_transport import BaseTransport
from pipecat.transports.local.audio import LocalAudioTransport, LocalAudioTransportParams
from pipecat.turns.user_start import BaseUserTurnStartStrategy, VADUserTurnStartStrategy

from bench import audio_live, audio_scenes
from halfcascade.processors.turns import SpeechDetector, user_turn_strategies
from halfcascade.transports.devices import quiet
from halfcascade.transports.local import LocalDuplexParams, LocalDuplexTransport
from tests.virtual_audio import VirtualAudio, missing

Row = tuple[str, str, str, str]
_PYTHONS_SWITCH_SECS = 0.005
_EQUAL_DBFS, _LOUDER_DBFS = -26.0, -18.0
_OPEN_SPEAKER_DB = -6.0
"""Of the echo against what is played: as loud as the user."""


def stock() -> BaseTransport:
    """Pipecat's own, in an interpreter as it comes: the other transport makes threads switch sooner."""
    sys.setswitchinterval(_PYTHONS_SWITCH_SECS)
    with quiet():
        return LocalAudioTransport(LocalAudioTransportParams(audio_in_enabled=True, audio_out_enabled=True))


def ours() -> BaseTransport:
    """This project's, with its defaults."""
    return LocalDuplexTransport(LocalDuplexParams())


def stock_chain() -> tuple[FrameProcessor, BaseUserTurnStartStrategy]:
    """Pipecat's detector and its strategy, with their defaults: any speech stops the bot."""
    return VADProcessor(vad_analyzer=SileroVADAnalyzer(), audio_idle_timeout=0), VADUserTurnStartStrategy()


def own_chain() -> tuple[FrameProcessor, BaseUserTurnStartStrategy]:
    """This project's, as in its pipeline."""
    # Without real time there is no idle time either.
    detector = SpeechDetector(audio_idle_timeout=0)
    strategies = user_turn_strategies("en-US").start
    assert strategies
    return detector, strategies[0]


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
            got = {
                "stock": await asyncio.to_thread(
                    audio_scenes.judge, dbfs, cancel=False, chain=stock_chain, scenes=count
                ),
                "ours": await asyncio.to_thread(audio_scenes.judge, dbfs, cancel=True, chain=own_chain, scenes=count),
            }
            for title, show, goal in (
                (f"bot interrupts itself, {name} (simulated)", _false("stopped"), goals[0]),
                ("  is taken for the user", _false("noticed"), "-"),
                ("  gets quieter for nothing", _false("ducked"), "-"),
                (f"barge-ins found, {name} (simulated)", _noticed, goals[1]),
                ("  bot gets quieter", _reacted("ducked"), "-"),
                ("  bot stops for their sound, before any word", _reacted("stopped"), "-"),
                ("  user alone heard", _alone, "all"),
            ):
                self._row(title, show(got["stock"]), show(got["ours"]), goal)
            self._keep(f"scenes {name}", **got)

    async def open_speaker(self) -> None:
        """Live on the virtual sound card: false starts and barge-ins with an open loudspeaker."""
        count = 3 if self._quick else 12
        listen = {stock: lambda: VADProcessor(vad_analyzer=SileroVADAnalyzer()), ours: SpeechDetector}
        got = await self._both(
            lambda make: audio_live.open_speaker(self._audio, make, listen[make](), count, _OPEN_SPEAKER_DB)
        )
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
            got = await self._both(partial(audio_live.gaps, self._audio, **arguments))
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
            got = await self._both(partial(measure, self._audio))
            self._row(f"{title}: back after", _back(got["stock"]), _back(got["ours"]), "<= 2 s")
            self._row(f"{title}: reply kept", _kept(got["stock"]), _kept(got["ours"]), "kept")
            self._keep(title, **got)

    async def _both(self, measure: Callable[[Callable[[], BaseTransport]], Awaitable[Any]]) -> dict[str, Any]:
        results = {}
        for name, make in (("stock", stock), ("ours", ours)):
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


def _false(kind: str) -> Callable[[Any], str]:
    """Utterances with a reaction to the bot itself: alone, and before a user began."""

    def show(verdict: Any) -> str:
        early = f" + {verdict.early[kind]}/{verdict.barge_ins} before a barge-in" if verdict.early[kind] else ""
        return f"{verdict.false[kind]}/{verdict.bot_alone}{early}"

    return _shown(show)


def _reacted(kind: str) -> Callable[[Any], str]:
    return _shown(lambda verdict: _share(verdict.delays[kind], verdict.barge_ins))


def _share(delays: list[float], count: int) -> str:
    return f"{len(delays)}/{count}" + (f", {statistics.median(delays):.2f} s" if delays else "")


_noticed = _reacted("noticed")
_live_false = _shown(lambda live: f"{live.false_starts}/{live.utterances}")
_alone = _shown(lambda verdict: f"{verdict.user_heard}/{verdict.user_alone}")
_gaps = _shown(lambda gaps: f"{gaps.count} ({gaps.total_secs * 1000:.0f} ms)")
_kept = _shown(lambda recovery: f"{recovery.reply_kept:.0%}")
_back = _shown(
    lambda recovery: f"microphone {_seconds(recovery.microphone_secs)}, speaker {_seconds(recovery.speaker_secs)}"
)
_found = _shown(lambda live: _share(live.delays, live.barge_ins))


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
