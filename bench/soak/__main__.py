"""A day of talk with random faults.

python -m bench.soak [--hours 24] [--seed 1] [--parts 2] [--every 60] [--early on|off]
                     [--minutes 90]

Somebody says one sentence after another, 10 s apart on average, to the whole bot (neural networks, pipeline, session
machines) in virtual time. The services are in memory (``bench.soak.services``) and something of them fails every 60 s
on average: refused, broken, mute, late, forgotten, for up to 6 s. The day is cut into talks that run side by side, one
process each. Tells on stderr every hour of a talk how far it is, and prints what was lost; with ``--minutes`` each ends
after so long by the clock and is judged as far as it came. The same seed gives the
same talk, which ``fingerprint`` shows.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from typing import Any

from loguru import logger

from bench.soak.faults import FAULT_EVERY_SECS
from bench.soak.talk import soak
from bench.turn_corpus.corpus import read
from halfcascade.processors.turns import load_networks

_TOLD = 12


def run_part(
    secs: float, seed: int, fault_every_secs: float | None, early: bool | None = None, minutes: float | None = None
) -> dict[str, Any]:
    """Hold one talk.

    Args:
        secs: How long.
        seed: Decides everything.
        fault_every_secs: How often something goes wrong, or None for never.
        early: Whether the brain is asked early; None as the settings have it.
        minutes: How long it may take by the clock, or None for as long as it takes.

    Returns:
        Figures, and what went wrong.
    """
    turns = [turn for turn in read("report") if turn.language == "en-US"]
    load_networks("en-US")
    began, computed = time.monotonic(), time.process_time()
    until = math.inf if minutes is None else _clock() + 60 * minutes
    found = soak(
        turns, secs, seed, fault_every_secs=fault_every_secs, early=early, tell=_tell, over=lambda: _clock() > until
    )
    return {
        "seed": seed,
        "hours": round(found.secs / 3600, 3),
        "sentences": found.sentences,
        "turns": found.turns,
        "dead": len(found.dead),
        "lost_words": len(found.lost),
        "doubled_words": len(found.doubled),
        "megabytes_an_hour": round(found.slope, 2),
        "megabytes": [round(megabytes, 1) for _, megabytes in found.memory],
        "ended_early": found.failure,
        "took_secs": round(time.monotonic() - began, 1),
        "processor_secs": round(time.process_time() - computed, 1),
        "fingerprint": f"{found.fingerprint:08x}",
        "told": [f"{at:.1f} {text}" for kind in (found.dead, found.lost, found.doubled) for at, text in kind[:_TOLD]],
    }


def _tell(line: str) -> None:
    """Tell how far it is; apart from the figures, which come at the end."""
    print(line, file=sys.stderr, flush=True)


def _clock() -> float:
    """Seconds by the clock on the wall, which in the talk all other clocks are not."""
    return os.times().elapsed


def main() -> int:
    """Parse the command line and talk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0, help="of talk, all parts together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parts", type=int, default=os.cpu_count() or 1, help="talks that run side by side")
    parser.add_argument("--every", type=float, default=FAULT_EVERY_SECS, help="seconds between faults; 0: none")
    parser.add_argument("--early", choices=("on", "off"), help="whether the brain is asked early")
    parser.add_argument("--minutes", type=float, help="how long a talk may take by the clock")
    options = parser.parse_args()
    logger.remove()
    if options.parts > 1:
        return _side_by_side(options)
    early = options.early and options.early == "on"
    found = run_part(3600 * options.hours, options.seed, options.every or None, early, options.minutes)
    print(json.dumps({"bench": "soak", **found}, ensure_ascii=False), flush=True)
    return 1 if found["dead"] or found["lost_words"] or found["doubled_words"] or found["ended_early"] else 0


def _side_by_side(options: argparse.Namespace) -> int:
    hours = options.hours / options.parts
    command = [sys.executable, "-m", "bench.soak", "--parts", "1", "--hours", str(hours), "--every", str(options.every)]
    command += ["--early", options.early] if options.early else []
    command += ["--minutes", str(options.minutes)] if options.minutes is not None else []
    seeds = range(options.seed, options.seed + options.parts)
    parts = [subprocess.Popen([*command, "--seed", str(seed)]) for seed in seeds]
    return max(part.wait() for part in parts)


if __name__ == "__main__":
    sys.exit(main())
