"""What the screen costs: a talk of which the meters move and the reply grows all the time, on a terminal of 80x24.

python -m bench.screen [--secs N] [--columns N] [--rows N]

The screen runs on a pseudo-terminal whose other end reads and forgets. A second process is fed the same events and
levels and shows nothing; its processor time is taken off. Both give percent of one core.
"""

import argparse
import asyncio
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from halfcascade.bot.session.events import EventType

if TYPE_CHECKING:
    from halfcascade.bot.screen.view import Levels
    from halfcascade.bot.session.hub import EventHub

_EVENT_SECS = 0.1
_BLOCK_SECS = 0.02
_RATE = 24_000
_SENTENCE = "The sun is out all day, and the wind comes from the sea. "
_TURN_EVENTS = 120


async def _feed(hub: "EventHub", levels: "Levels", until: float) -> None:
    """Twelve seconds of a turn again and again: words understood, a reply written and heard, levels all the time."""
    rng = np.random.default_rng(1)
    blocks = [(rng.normal(0, 2_000 + 400 * n, int(_RATE * _BLOCK_SECS))).astype("<i2").tobytes() for n in range(20)]
    at, number, step = 0.0, 0, 0
    while time.monotonic() < until:
        for n in range(round(_EVENT_SECS / _BLOCK_SECS)):
            levels.captured(blocks[(number + n) % 20], _RATE, at)
            levels.played(blocks[(number + n * 3) % 20], _RATE, at)
        for kind, fields in _events(step, number):
            hub._take(EventType(kind), at, fields)
        number, step, at = number + 1, (step + 1) % _TURN_EVENTS, at + _EVENT_SECS
        await asyncio.sleep(_EVENT_SECS)


def _events(step: int, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of one tenth of a second of a turn."""
    words = _SENTENCE.split()
    if step == 0:
        yield "user_started", {"speech_at": number * _EVENT_SECS}
    elif step < 15:
        yield "interim", {"text": " ".join(words[:step])}
    elif step == 15:
        yield "user_stopped", {"speech_at": number * _EVENT_SECS}
        yield "final", {"text": _SENTENCE}
        yield "turn_sent", {"text": _SENTENCE, "turn": number, "attempt": 1}
        yield "reply_started", {}
    elif step < 30:
        yield "reply_text", {"text": _SENTENCE}
    elif step == 30:
        yield "reply_ended", {}
        yield "first_audio", {}
        yield "speaking_started", {}
        yield "sound_began", {}
    elif step < _TURN_EVENTS - 1 and step % 3 == 0:
        yield "heard", {"text": words[step // 3 % len(words)]}
    elif step == _TURN_EVENTS - 1:
        yield "speaking_stopped", {}


async def _child(secs: float, result: TextIO, *, shown: bool) -> None:
    from halfcascade.bot.money import Models, load_tariff
    from halfcascade.bot.screen.app import TalkApp, run_screen
    from halfcascade.bot.screen.view import Levels, View
    from halfcascade.bot.session.hub import EventHub
    from halfcascade.bot.session.redaction import Redactor
    from tests.bot.screen.test_app import Acts

    hub, levels = EventHub(Redactor()), Levels()
    view = View(hub, levels, title="en-US  gemini-3.8-live  en-US-Chirp3-HD-Kore")
    hub.listen(view.apply)
    hub.clock.start(0.0)
    hub.metrics.tariff = load_tariff(Models("chirp_3", "gemini-3.8-live", "en-US-Chirp3-HD-Kore"))
    over = asyncio.Event()
    app = TalkApp(view, Acts(), lambda: {"echo": {"erle_db": 24.0, "half_duplex": False}})
    screen = asyncio.create_task(run_screen(app, over)) if shown else None
    await _feed(hub, levels, time.monotonic() + 3.0)
    used, began = time.process_time(), time.monotonic()
    await _feed(hub, levels, began + secs)
    percent = 100 * (time.process_time() - used) / (time.monotonic() - began)
    over.set()
    if screen:
        await screen
    print(percent, file=result)


def _measure(secs: float, rows: int, columns: int, *, shown: bool) -> float:
    """Run a child on a terminal of its own; gives percent of one core."""
    ours, theirs = pty.openpty()
    result, told = os.pipe()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    command = [sys.executable, "-m", "bench.screen", "--child", "shown" if shown else "hidden", "--secs", str(secs)]
    command += ["--result", str(told)]
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(rows)}
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, pass_fds=[told])
    os.close(theirs)
    os.close(told)
    written = 0

    def read() -> None:
        nonlocal written
        try:
            while piece := os.read(ours, 65_536):
                written += len(piece)
        except OSError:  # nobody holds the other end any more
            pass

    threading.Thread(target=read, daemon=True).start()
    with os.fdopen(result) as percent:
        found = percent.read()
    if child.wait() or not found:
        raise RuntimeError("the screen failed")
    if shown:
        print(f"{written / (secs + 3) / 1000:.1f} kB a second are written to the terminal")
    return float(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--secs", type=float, default=30.0)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--child", choices=("shown", "hidden"), help=argparse.SUPPRESS)
    parser.add_argument("--result", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        with os.fdopen(chosen.result, "w") as result:
            asyncio.run(_child(chosen.secs, result, shown=chosen.child == "shown"))
        return
    shown, hidden = (_measure(chosen.secs, chosen.rows, chosen.columns, shown=shown) for shown in (True, False))
    loads = "/".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"screen {shown:.2f} %, what feeds it {hidden:.2f} %, the screen alone {shown - hidden:.2f} % (load {loads})")


if __name__ == "__main__":
    main()
