"""What the brain adds: time per turn, time per delta, waits and words lost through hand-overs.

python -m bench.brain [--turns N] [--hand-overs N] [--seed N] [--json]

The server is the emulator: for times in a process of its own and, where there are two, on a processor of its own, so
that its computing is not counted as the brain's: a server on the same processor runs as soon as it is written to, and
the write returns when it has done its work. Times of the network and of the model are not part of any figure. Computing
time is what the brain's thread used of its processor, which a busy machine hardly changes. Prints a table and, as the
last line, one JSON object.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import ssl
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from google import genai
from google.genai import types
from loguru import logger
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
    LLMUpdateSettingsFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from halfcascade.emulator.faults import Faults
from halfcascade.emulator.live.faults import Drop, GoAway, LiveFaults
from halfcascade.emulator.live.server import LiveServer
from halfcascade.emulator.minds.base import Conversation
from halfcascade.emulator.minds.scripted_thinker import ScriptedReply, ScriptedThinker
from halfcascade.emulator.profiles import NetworkProfile, Profile, ThinkerProfile
from halfcascade.emulator.tls import LoopbackCertificate
from halfcascade.processors.gemini_live import GeminiLiveTextProcessor, GeminiLiveTextSettings, SessionOptions
from halfcascade.processors.gemini_live.connection import LiveConnection
from halfcascade.processors.live_socket import LIVE_SOCKET_OPTIONS
from tests.running import running

GOAL_MS = 2.0
WORDS = 40
TIMEOUT_SECS = 30.0


class Probe:
    """Taps the websocket: when bytes were written, when a delta arrived."""

    def __init__(self) -> None:
        self.wrote_at: list[float] = []
        self.computed_at_write: list[float] = []
        self.received_at: list[float] = []

    async def open(self, client: genai.Client, model: str, config: types.LiveConnectConfig) -> LiveConnection:
        """Open a connection whose socket is tapped."""
        connection = await LiveConnection.open(client, model, config)
        silent: Any = connection._session._ws
        socket = silent.socket
        send, receive = socket.send, socket.recv

        async def tapped_send(message: Any, *args: Any, **kwargs: Any) -> None:
            await send(message, *args, **kwargs)
            self.wrote_at.append(time.perf_counter())
            self.computed_at_write.append(time.thread_time())

        async def tapped_receive(*args: Any, **kwargs: Any) -> Any:
            message = await receive(*args, **kwargs)
            if b"outputTranscription" in message:
                self.received_at.append(time.perf_counter())
            return message

        socket.send, socket.recv = tapped_send, tapped_receive
        return connection


class Ear(FrameProcessor):
    """The end of the pipeline: keeps texts and times."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.text_at: list[float] = []
        self.texts: list[str] = []
        self.ended = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take a frame."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            self.text_at.append(time.perf_counter())
            self.texts.append(frame.text)
        elif isinstance(frame, LLMFullResponseEndFrame):
            self.ended.set()
        await self.push_frame(frame, direction)


class Talk:
    """A running brain and its user."""

    def __init__(self, brain: GeminiLiveTextProcessor, context: LLMContext, ear: Ear) -> None:
        self.brain, self.context, self.ear = brain, context, ear
        self.asked_at = self.computed_at_ask = 0.0

    async def ask(self, text: str) -> None:
        """The user's turn is over."""
        self.ear.ended.clear()
        self.ear.texts.clear()
        self.context.add_message({"role": "user", "content": text})
        self.asked_at, self.computed_at_ask = time.perf_counter(), time.thread_time()
        await self.brain.queue_frame(LLMContextFrame(self.context))

    async def answer(self, complete: Callable[[str], bool] = bool) -> str:
        """Wait until the answer is complete, and hear it."""
        async with asyncio.timeout(TIMEOUT_SECS):
            while True:
                await self.ear.ended.wait()
                self.ear.ended.clear()
                if complete("".join(self.ear.texts)):
                    break
        text = "".join(self.ear.texts)
        self.context.add_message({"role": "assistant", "content": text})
        return text


@asynccontextmanager
async def talking(base_url: str, bundle: str, probe: Probe, options: SessionOptions) -> AsyncIterator[Talk]:
    """Run a pipeline with nothing but a brain in it."""
    client = genai.Client(
        api_key="bench",
        http_options=types.HttpOptions(
            base_url=base_url,
            async_client_args={"ssl": ssl.create_default_context(cafile=bundle), **LIVE_SOCKET_OPTIONS},
        ),
    )
    context, ear = LLMContext(), Ear()
    brain = GeminiLiveTextProcessor(client, context=context, options=options, opener=probe.open)
    worker = PipelineWorker(Pipeline([brain, ear]), cancel_on_idle_timeout=False, enable_rtvi=False)
    async with running(worker, TIMEOUT_SECS):
        yield Talk(brain, context, ear)


def words_of(number: int) -> str:
    """The scripted answer to turn ``number``: every word of it is unlike all others."""
    return " ".join(f"t{number}w{index}" for index in range(WORDS)) + "."


def scripted(conversation: Conversation) -> str:
    """Answer the question with the highest number in what the user said last."""
    said = conversation.messages[-1].text
    numbers = [int(word.strip(".")) for word in said.split("question ")[-1].split()[:1]]
    return words_of(numbers[0]) if numbers else "Hm."


PACE = ThinkerProfile(first_token=0.02, chars_per_second=3000, piece_chars=12)


async def serve(pipe: Any, bundle: str, chain: LoopbackCertificate, faults: LiveFaults, one_way: float) -> None:
    """Serve until told to stop."""
    server = LiveServer(
        ScriptedThinker([], default=scripted),
        Profile(thinker=PACE, network=NetworkProfile(one_way)),
        ssl_context=chain.server_context(),
        faults=Faults(live=faults),
    )
    await server.start()
    pipe.send((f"https://127.0.0.1:{server.port}", bundle))
    await asyncio.to_thread(pipe.recv)
    await server.stop()


def server_process(pipe: Any, go_away_at: float | None, one_way: float) -> None:
    """Run the emulated server; in a process of its own."""
    logger.remove()
    chain = LoopbackCertificate()
    faults = LiveFaults(go_aways=[] if go_away_at is None else [GoAway(at=go_away_at, time_left=50.0, times=-1)])
    try:
        asyncio.run(serve(pipe, str(chain.bundle), chain, faults, one_way))
    finally:
        chain.remove()


@asynccontextmanager
async def emulated(go_away_at: float | None = None, one_way: float = 0.0) -> AsyncIterator[tuple[str, str]]:
    """Start a server process; gives its base URL and the certificates to trust.

    ``go_away_at``: seconds after which every connection is announced to end.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=server_process, args=(theirs, go_away_at, one_way), daemon=True)
    process.start()
    theirs.close()  # so that a server that fails to start is noticed
    try:
        with apart_from(process.pid):
            yield await asyncio.to_thread(ours.recv)
    finally:
        ours.send(None)
        await asyncio.to_thread(process.join, 10)


@contextlib.contextmanager
def apart_from(process_id: int | None) -> Iterator[None]:
    """Keep a process off the processors that this one runs on, if the system can do that and has more than one."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(usable) < 2 or process_id is None:
        yield
        return
    os.sched_setaffinity(process_id, usable[-1:])
    os.sched_setaffinity(0, usable[:-1])
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)


async def added_times(turns: int) -> tuple[list[float], list[float], list[float]]:
    """Measure turn frame to bytes on the socket, computing in that, and delta to LLMTextFrame, in milliseconds."""
    probe = Probe()
    out: list[float] = []
    computing: list[float] = []
    async with emulated() as (url, bundle), talking(url, bundle, probe, SessionOptions()) as talk:
        for number in range(turns):
            before = len(probe.wrote_at)
            await talk.ask(f"question {number}")
            await talk.answer()
            out.append((probe.wrote_at[before] - talk.asked_at) * 1000)
            computing.append((probe.computed_at_write[before] - talk.computed_at_ask) * 1000)
            await asyncio.sleep(0.1)  # people listen; else the rest of the answer's audio is in the way
        deltas = [(text - got) * 1000 for got, text in zip(probe.received_at, talk.ear.text_at, strict=True)]
    return out[1:], computing[1:], deltas[1:]


async def waits(turns: int, go_away_at: float | None) -> tuple[list[float], int]:
    """Measure how long turns wait to be written while connections are handed over between them, in milliseconds.

    Every connection is announced to end ``go_away_at`` seconds after it was opened. The user listens for a moment, then
    speaks for a moment, as people do; 20 ms of network one way, so that a turn that met a hand-over waits for 100 ms.
    """
    probe = Probe()
    held: list[float] = []
    async with (
        emulated(go_away_at, one_way=0.02) as (url, bundle),
        talking(url, bundle, probe, SessionOptions()) as talk,
    ):
        for number in range(turns):
            await talk.brain.queue_frame(UserStartedSpeakingFrame())
            await asyncio.sleep(0.4)
            await talk.brain.queue_frame(UserStoppedSpeakingFrame())
            before = len(probe.wrote_at)
            await talk.ask(f"question {number}")
            await talk.answer()
            held.append((probe.wrote_at[before] - talk.asked_at) * 1000)
            await asyncio.sleep(0.3)
        serial = talk.brain._machine.link.serial
    return held[1:], serial - 1


async def words_through_hand_overs(wanted: int, seed: int) -> dict[str, int]:
    """Talk while connections are announced away, broken and renewed at random moments, and count the words."""
    chance = random.Random(seed)
    faults = LiveFaults(seed=seed)
    chain = LoopbackCertificate()
    thinker = ScriptedThinker([ScriptedReply(scripted, match="question")])
    profile = Profile(thinker=PACE)
    server = LiveServer(thinker, profile, ssl_context=chain.server_context(), faults=Faults(live=faults))
    await server.start()
    options = SessionOptions(backoff_secs=0.02, answer_timeout_secs=2.0, goaway_margin_secs=0.01)
    count = {"hand_overs": 0, "turns": 0, "lost": 0, "doubled": 0, "turns_told_twice": 0}
    url = f"https://127.0.0.1:{server.port}"
    try:
        async with talking(url, str(chain.bundle), Probe(), options) as talk:
            while count["hand_overs"] < wanted:
                number = count["turns"]
                provoke(faults, server.script.turns + 1, chance)
                await talk.ask(f"question {number}")
                renewing = asyncio.create_task(renew(talk, chance)) if chance.random() < 0.3 else None
                with contextlib.suppress(TimeoutError):
                    last = f"t{number}w{WORDS - 1}."
                    await talk.answer(lambda text: text.rstrip().endswith(last))  # noqa: B023 - awaited at once
                if renewing is not None:
                    await renewing
                heard = "".join(talk.ear.texts).split()
                expected = words_of(number).split()
                count["turns"] += 1
                count["lost"] += sum(word not in heard for word in expected)
                count["doubled"] += len(heard) - len(set(heard))
                told = [m.text for m in thinker.conversations[-1].messages if m.role == "user"]
                count["turns_told_twice"] += sum(t.count(f"question {number}") for t in told) > 1
                await asyncio.sleep(chance.choice([0.0, 0.02, 0.1]))
                count["hand_overs"] = talk.brain._machine.link.serial - 1
    finally:
        await server.stop()
        chain.remove()
    return count


def provoke(faults: LiveFaults, turn: int, chance: random.Random) -> None:
    """Let something happen to the connection in or around the next turn."""
    kind = chance.choice(["nothing", "goaway", "goaway_now", "drop", "drop"])
    if kind == "goaway":
        faults.go_aways.append(GoAway(turn=turn, time_left=chance.choice([0.05, 0.3, 50.0])))
    elif kind == "goaway_now":
        faults.go_aways.append(GoAway(turn=turn, time_left=0.0, mute=chance.random() < 0.5))
    elif kind == "drop":
        phase: Any = chance.choice(["answer", "deltas", "deltas", "generation_complete", "turn_complete", "after"])
        code = chance.choice([None, 1011])
        faults.drops.append(Drop(turn=turn, phase=phase, deltas=chance.randint(1, 12), code=code))


async def renew(talk: Talk, chance: random.Random) -> None:
    """Change a setting in the middle of things."""
    await asyncio.sleep(chance.uniform(0.0, 0.2))
    delta = GeminiLiveTextSettings(temperature=chance.random())
    await talk.brain.queue_frame(LLMUpdateSettingsFrame(delta=delta))


def percentile(values: list[float], share: float) -> float:
    """Give the value below which ``share`` of all lie."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


async def measure(turns: int, hand_overs: int, seed: int) -> dict[str, Any]:
    """Run everything."""
    out, computing, deltas = await added_times(turns)
    control, _ = await waits(min(turns, 20), go_away_at=None)
    held, renewed = await waits(min(turns, 20), go_away_at=0.1)
    usual = statistics.median(control)
    words = await words_through_hand_overs(hand_overs, seed)
    return {
        "turn_to_socket_ms": {
            "median": round(statistics.median(out), 3),
            "p95": round(percentile(out, 0.95), 3),
            "computing": round(statistics.median(computing), 3),
            "turns": len(out),
        },
        "piece_to_frame_ms": {
            "median": round(statistics.median(deltas), 3),
            "p95": round(percentile(deltas, 0.95), 3),
            "deltas": len(deltas),
        },
        "hand_over_wait_ms": {
            "median": round(max(0.0, statistics.median(held) - usual), 3),
            "longest": round(max(0.0, max(held) - max(control)), 3),
            "met_a_hand_over": sum(wait > max(control) + 50 for wait in held),
            "hand_overs": renewed,
        },
        "words": words,
    }


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    turn, delta = result["turn_to_socket_ms"], result["piece_to_frame_ms"]
    wait, words = result["hand_over_wait_ms"], result["words"]
    rows = [
        ("turn frame to bytes on the socket, median", f"{turn['median']:.2f} ms", f"< {GOAL_MS:g} ms"),
        ("  95th percentile", f"{turn['p95']:.2f} ms", ""),
        ("  computing time in that, median", f"{turn['computing']:.2f} ms", ""),
        ("server delta to LLMTextFrame, median", f"{delta['median']:.2f} ms", f"< {GOAL_MS:g} ms"),
        ("  95th percentile", f"{delta['p95']:.2f} ms", ""),
        (f"user's wait in {wait['hand_overs']} hand-overs, median", f"{wait['median']:.2f} ms", "0"),
        ("  longest, above the longest without hand-overs", f"{wait['longest']:.2f} ms", ""),
        ("  turns that met a hand-over", str(wait["met_a_hand_over"]), "0"),
        (f"words lost over {words['hand_overs']} hand-overs", str(words["lost"]), "0"),
        (f"words doubled ({words['turns']} turns of {WORDS} words)", str(words["doubled"]), "0"),
        ("turns that the model was told twice", str(words["turns_told_twice"]), "0"),
    ]
    for name, value, goal in rows:
        print(f"{name:52} {value:>12}   {goal}")


def main() -> int:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description="Measure what the brain adds.")
    parser.add_argument("--turns", type=int, default=100)
    parser.add_argument("--hand-overs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print only the JSON line")
    parser.add_argument("--verbose", action="store_true", help="show the log")
    arguments = parser.parse_args()
    if not arguments.verbose:
        logger.remove()
    result = asyncio.run(measure(arguments.turns, arguments.hand_overs, arguments.seed))
    if not arguments.json:
        show(result)
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
