"""What one talk costs, and where: processor time of the server by part, beside stock Pipecat in the same run.

python -m bench.talk_cost [--turns N] [--peer pipecat|none] [--talks N]

Server, emulator (scripted mind, no latencies of its own) and client each run in a process of their own. py-spy
(``pip install py-spy``) looks two hundred times a second at what the server's threads are doing that are at work, or
would be if the machine let them: on a busy machine the event loop's share is too high, since it is what waits for a
processor. Each look counts for the innermost part of a talk that it finds; the shares are then parts of the processor
time that the system counted, in turns that nobody looks at.

- ``cpu``: percent of a core and talk, while they talk
- ``wakes``: how often a second the event loop's thread went to sleep and was woken, which costs more than what is then
  done: on a machine that is busy with something else, several things are done at each waking, and a talk costs less
- parts: their shares of it, in the same unit; ``native threads`` run no Python, so py-spy does not see them: the
  small language model above all, and gRPC's own

Prints a table and, last, one line of JSON with the machine's load before and after.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench.doors import cpu_secs, start_server, talk
from bench.latency import start_emulator

# What a frame of the stack belongs to, the first that fits; the stack is read from the inside.
PARTS = {
    "Smart Turn": r"smart_turn|_whisper_features",
    "sound network": r"barge_in_sound|speech_sound",
    "language model": r"text_end|xllamacpp",
    "detector": r"speech_detector|audio/vad/|audio/volume|vad_processor",
    "turns": r"/turns/|llm_response_universal",
    "gRPC": r"grpc|api_core|google_stt|chirp_tts|google/cloud|proto/",
    "brain": r"gemini_live|google/genai",
    "door": r"uvicorn|starlette|fastapi|websockets|serializers|bot/serve",
    "resampling": r"soxr|resampl",
    "observers": r"observer|bot/session|rtvi|watching",
    "transport": r"transports/|playout|base_output|base_input",
    "frames": r"pipecat/",
    "event loop": r"asyncio|uvloop|runners\.py|selectors|wait_for2",
}
_OTHER = "other"
_RATE = 200
_WARM_UP_SECS = 4.0


def part_of(stack: str) -> str:
    """The part of a talk that a stack is at work for.

    Args:
        stack: py-spy's frames, outermost first, separated by semicolons.
    """
    for frame in reversed(stack.split(";")):
        for part, pattern in PARTS.items():
            if re.search(pattern, frame):
                return part
    return _OTHER


def shares(recorded: str) -> dict[str, float]:
    """Share of each part in what py-spy has seen.

    Args:
        recorded: Its raw output: a stack and a count a line.
    """
    seen: Counter[str] = Counter()
    for line in recorded.splitlines():
        stack, _, count = line.rpartition(" ")
        if "_worker (concurrent/futures/thread.py" in stack.split(";")[-1]:
            continue  # waits for work, although the system has not noticed yet
        seen[part_of(stack)] += int(count)
    total = sum(seen.values()) or 1
    return {part: count / total for part, count in seen.most_common()}


def native_share(recorded: str, before: dict[int, int], after: dict[int, int]) -> float:
    """Share of the processor time that went to threads of which py-spy has seen no stack.

    Args:
        recorded: Its raw output, whose stacks begin with the thread's number.
        before: What each thread had used when the looking began.
        after: The same at its end.
    """
    seen = {int(number) for number in re.findall(r"^thread \((\d+)\)", recorded, re.MULTILINE)}
    used = {thread: ticks - before.get(thread, 0) for thread, ticks in after.items()}
    return sum(ticks for thread, ticks in used.items() if thread not in seen) / (sum(used.values()) or 1)


def thread_ticks(pid: int) -> dict[int, int]:
    """Processor time that each thread of a process has used, in ticks."""
    ticks = {}
    for file in Path(f"/proc/{pid}/task").glob("*/stat"):
        fields = file.read_text().rpartition(") ")[2].split()
        ticks[int(file.parent.name)] = int(fields[11]) + int(fields[12])
    return ticks


def look_at(pid: int, file: Path) -> subprocess.Popen[bytes] | None:
    """Begin to record what a process does; None without py-spy."""
    spy = shutil.which("py-spy", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if spy is None:
        print("py-spy is not installed: the parts' shares are left out.", file=sys.stderr)
        return None
    command = [spy, "record", "--pid", str(pid), "--nonblocking", "--threads", "-f", "raw", "-r", str(_RATE)]
    return subprocess.Popen(
        [*command, "-o", str(file), "-d", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wakes(pid: int) -> int:
    """How often a process's first thread has waited for something."""
    status = Path(f"/proc/{pid}/task/{pid}/status").read_text()
    return int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])


async def talking(url: str, pid: int, talks: int, turns: int) -> tuple[float, float]:
    """Hold talks.

    Returns:
        The server's processor time in percent of a core and talk, and how often a second its event loop was woken.
    """
    holding = [asyncio.create_task(talk(url, turns, 0.2 * index)) for index in range(talks)]
    await asyncio.sleep(_WARM_UP_SECS + 0.2 * talks)
    begun, cpu, woken = time.monotonic(), cpu_secs(pid), wakes(pid)
    await asyncio.wait(holding, return_when=asyncio.FIRST_COMPLETED)
    secs = time.monotonic() - begun
    percent, woken = 100 * (cpu_secs(pid) - cpu) / secs / talks, wakes(pid) - woken
    await asyncio.gather(*holding)
    return percent, woken / secs


def named_parts(cpu: float, recorded: str, before: dict[int, int], after: dict[int, int]) -> dict[str, float]:
    """What each part takes of ``cpu``, the largest first; arguments as those of ``shares`` and ``native_share``."""
    native = native_share(recorded, before, after)
    parts = {"native threads": native} | {part: share * (1 - native) for part, share in shares(recorded).items()}
    return {part: round(cpu * share, 2) for part, share in sorted(parts.items(), key=lambda part: -part[1])}


async def measure(system: str, talks: int, turns: int) -> dict[str, Any]:
    """Measure one system: first unobserved, then what it is made of."""
    server, url = start_server(system)
    try:
        await talk(url, 1, 0.0)  # what is loaded once is not a talk's
        cpu, woken = await talking(url, server.pid, talks, turns)
        parts: dict[str, float] = {}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "stacks"
            if spy := look_at(server.pid, file):
                before = thread_ticks(server.pid)
                await talking(url, server.pid, talks, turns)
                after = thread_ticks(server.pid)
                spy.send_signal(2)
                spy.wait()
                parts = named_parts(cpu, file.read_text(), before, after)
    finally:
        server.terminate()
        server.wait()
    return {"system": system, "talks": talks, "cpu_percent": round(cpu, 1), "wakes": round(woken), "parts": parts}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--talks", type=int, default=1, help="how many at once")
    parser.add_argument("--peer", choices=("pipecat", "none"), default="pipecat")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        emulator = start_emulator(Path(folder), "instant")
        try:
            for system in ("ours", *([options.peer] if options.peer != "none" else [])):
                rows.append(asyncio.run(measure(system, options.talks, options.turns)))
        finally:
            emulator.terminate()
            emulator.wait()
    for row in rows:
        talks, woken = f"{row['talks']} talks", f"{row['wakes']} wakes a second"
        print(f"\n{row['system']}: {row['cpu_percent']} % of a core for each of {talks}, {woken}")
        for part, percent in row["parts"].items():
            print(f"  {part:<16}{percent:6.2f} %")
    print(json.dumps({"load": [round(before, 1), round(os.getloadavg()[0], 1)], "rows": rows}))


if __name__ == "__main__":
    main()
