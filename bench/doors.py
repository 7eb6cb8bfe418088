"""Many talks at once through a server's WebSocket: what one costs, and how many fit, beside stock Pipecat.

python -m bench.doors [--talks 1,4,8] [--turns N] [--peer pipecat|none]

Server, emulator (scripted mind, ``instant`` latencies unless told) and clients each run in a process of their own. A
client says a recording, waits for the answer, and so on. Printed for each number of talks at once:

- ``cpu``: processor time of the server in percent of a core and talk, while they talk
- ``megabytes``: resident memory of the server beyond that of one talk, for each further one
- ``refused``: talks that the server did not let in, since it would not have kept up with them
- ``latency``: from the recording's last sound until the client gets the first sound, median and 90th percentile

Prints a table and, last, one line of JSON. The machine's other load is part of the result: run it on a quiet one.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from websockets.exceptions import InvalidStatus

from bench.callers import Caller
from bench.latency import start_emulator

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SAYINGS = ("weather", "timer")
_TURN_SECS = 6.0


def start_server(system: str) -> tuple[subprocess.Popen[str], str]:
    """Start a server in a process of its own.

    Returns:
        The process, and where its WebSocket is.
    """
    command = [sys.executable, "-m", "bot", "serve", "--backend", "google", "--port", "0", "--most-talks", "200"]
    if system == "pipecat":
        command = [sys.executable, "-m", "bench.doors", "--serve-stock"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout
    for line in server.stdout:
        if "http://" in line:
            port = line.partition("http://127.0.0.1:")[2].partition("/")[0]
            return server, f"ws://127.0.0.1:{port}/ws-client"
    raise SystemExit(f"The server of {system} did not start.")


def cpu_secs(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def megabytes(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6


async def talk(url: str, turns: int, delay: float) -> list[float | None]:
    """Talk as one client.

    Returns:
        Seconds until the answer to each turn was heard; None where none came. Nothing if the server let nobody else in.
    """
    await asyncio.sleep(delay)
    try:
        return await Caller(url).talk([_SAYINGS[turn % len(_SAYINGS)] for turn in range(turns)])
    except InvalidStatus:
        # The others are measured for as long as one of them talks.
        await asyncio.sleep(_TURN_SECS * turns)
        return []


async def measure(system: str, talks: list[int], turns: int) -> list[dict[str, Any]]:
    """Measure one system at several numbers of talks at once."""
    server, url = start_server(system)
    rows, single = [], 0.0
    try:
        await talk(url, 1, 0.0)  # what is loaded once is not a talk's
        for count in talks:
            holding = [asyncio.create_task(talk(url, turns, 0.4 * index)) for index in range(count)]
            await asyncio.sleep(0.4 * count + 3.0)
            begun, cpu = time.monotonic(), cpu_secs(server.pid)
            await asyncio.wait(holding, return_when=asyncio.FIRST_COMPLETED)
            share = (cpu_secs(server.pid) - cpu) / (time.monotonic() - begun) / count
            memory = megabytes(server.pid)
            held = await asyncio.gather(*holding)
            latencies = [latency for one in held for latency in one]
            heard = [latency for latency in latencies if latency is not None]
            single = single or memory
            rows.append(
                {
                    "system": system,
                    "talks": count,
                    "cpu_percent": round(100 * share, 1),
                    "megabytes": round((memory - single) / (count - talks[0]), 1) if count > talks[0] else None,
                    "latency_ms": round(1000 * statistics.median(heard)) if heard else None,
                    "latency_p90_ms": round(1000 * float(np.percentile(heard, 90))) if heard else None,
                    "unanswered": len(latencies) - len(heard),
                    "refused": sum(not one for one in held),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
            await asyncio.sleep(2.0)
    finally:
        server.terminate()
        server.wait()
    return rows


async def serve_stock() -> None:
    """Serve stock Pipecat on a WebSocket, in the form of its own examples."""
    import uvicorn
    from fastapi import FastAPI, WebSocket
    from pipecat.pipeline.worker import PipelineParams, PipelineWorker
    from pipecat.serializers.protobuf import ProtobufFrameSerializer
    from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
    from pipecat.workers.runner import WorkerRunner

    from bench.peers import stock_pipeline

    app = FastAPI()

    @app.websocket("/ws-client")
    async def client(websocket: WebSocket) -> None:
        await websocket.accept()
        params = FastAPIWebsocketParams(
            serializer=ProtobufFrameSerializer(),
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_in_sample_rate=16_000,
        )
        transport = FastAPIWebsocketTransport(websocket, params)
        worker = PipelineWorker(stock_pipeline(transport)[0], params=PipelineParams(enable_metrics=True))

        @transport.event_handler("on_client_disconnected")
        async def gone(*_: object) -> None:
            await worker.cancel()

        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 uvicorn has no event for it
        await asyncio.sleep(0.05)
    print(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/", flush=True)
    await serving


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--talks", default="1,4,8", help="numbers of talks at once")
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--peer", choices=("pipecat", "none"), default="pipecat")
    parser.add_argument("--profile", default="instant")
    parser.add_argument("--serve-stock", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_stock:
        asyncio.run(serve_stock())
        return
    talks = [int(count) for count in arguments.talks.split(",")]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        emulator = start_emulator(Path(folder), arguments.profile)
        try:
            for system in ("ours", *([arguments.peer] if arguments.peer != "none" else [])):
                rows += asyncio.run(measure(system, talks, arguments.turns))
        finally:
            emulator.terminate()
            emulator.wait()
    print(
        f"{'system':<10}{'talks':>6}{'cpu %':>8}{'MB each':>9}{'median ms':>11}{'p90 ms':>8}"
        f"{'no answer':>11}{'refused':>9}"
    )
    for row in rows:
        print(
            f"{row['system']:<10}{row['talks']:>6}{row['cpu_percent']:>8}{row['megabytes'] or '':>9}"
            f"{row['latency_ms'] or '':>11}{row['latency_p90_ms'] or '':>8}{row['unanswered']:>11}{row['refused']:>9}"
        )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
