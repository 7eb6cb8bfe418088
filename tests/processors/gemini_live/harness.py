"""What the brain's tests share: an emulated server over TLS, and a pipeline around the brain, awaited by frames."""

import asyncio
import atexit
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from halfcascade.emulator.faults import Faults
from halfcascade.emulator.live.faults import LiveFaults
from halfcascade.emulator.live.server import LiveServer
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.scripted_thinker import ScriptedReply, ScriptedThinker
from halfcascade.emulator.tls import LoopbackCertificate
from halfcascade.processors.frames import TurnSentFrame
from halfcascade.processors.gemini_live import GeminiLiveTextProcessor, GeminiLiveTextSettings, SessionOptions
from halfcascade.processors.live_socket import LIVE_SOCKET_OPTIONS
from tests.running import running

LONG = 20.0
"""Upper bound of every wait, in seconds: reached only when a test fails."""


@cache
def certificate() -> LoopbackCertificate:
    """Make the certificate of all servers of this run."""
    made = LoopbackCertificate()
    atexit.register(made.remove)
    return made


class Google:
    """An emulated Live server and a client that leads to it."""

    def __init__(
        self,
        replies: Sequence[ScriptedReply] = (),
        faults: LiveFaults | None = None,
        *,
        default: Any = "You said: {user}",
        **kwargs: Any,
    ) -> None:
        self.thinker = ScriptedThinker(replies, default=default)
        self.faults = faults or LiveFaults()
        self.log = UsageLog()
        self._client_tls = ssl.create_default_context(cafile=certificate().bundle)
        self.server = LiveServer(
            self.thinker,
            ssl_context=certificate().server_context(),
            faults=Faults(live=self.faults),
            log=self.log,
            **kwargs,
        )

    async def __aenter__(self) -> "Google":
        await self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.stop()

    def client(self, port: int = 0) -> genai.Client:
        """Make a client, as a bot would; through a port before the server's, if it is said."""
        return genai.Client(
            api_key="test-key-never-logged",
            http_options=types.HttpOptions(
                base_url=f"https://127.0.0.1:{port or self.server.port}",
                async_client_args={"ssl": self._client_tls, **LIVE_SOCKET_OPTIONS},
            ),
        )

    def vertex_client(self) -> genai.Client:
        """Make a client of Vertex AI."""
        return genai.Client(
            vertexai=True,
            project="test-project",
            location="global",
            credentials=Credentials(token="test-token-never-logged"),
            http_options=types.HttpOptions(
                base_url=f"https://127.0.0.1:{self.server.port}",
                async_client_args={"ssl": self._client_tls, **LIVE_SOCKET_OPTIONS},
            ),
        )

    def received(self, kind: str = "") -> list[dict[str, Any]]:
        """Give what the server received, of one kind (``setup``, ``client_content``, ...) or all."""
        messages = [entry.data["message"] for entry in self.log.find(event="received")]
        return [message for message in messages if not kind or kind in message]

    @property
    def heard(self) -> list[list[tuple[str, str]]]:
        """Every conversation the model was asked to answer, as (role, text)."""
        return [[(m.role, m.text) for m in conversation.messages] for conversation in self.thinker.conversations]


class _Ear(FrameProcessor):
    """Sits at one end of the pipeline and keeps what passes."""

    def __init__(self, bench: "Bench", direction: FrameDirection) -> None:
        super().__init__(enable_direct_mode=True)
        self._bench = bench
        self._direction = direction

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is self._direction:
            self._bench.note(frame, direction)
        await self.push_frame(frame, direction)


class Bench:
    """A running pipeline around a brain; what it does is awaited by frames, never by sleeping."""

    def __init__(self, brain: GeminiLiveTextProcessor, context: LLMContext) -> None:
        self.brain = brain
        self.context = context
        self.down: list[Frame] = []
        self.up: list[Frame] = []
        self.worker: PipelineWorker | None = None
        self._changed = asyncio.Event()
        self.source = _Ear(self, FrameDirection.UPSTREAM)
        self.sink = _Ear(self, FrameDirection.DOWNSTREAM)

    def note(self, frame: Frame, direction: FrameDirection) -> None:
        (self.down if direction is FrameDirection.DOWNSTREAM else self.up).append(frame)
        self._changed.set()

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until a condition holds; looked at whenever a frame passes, and now and then."""
        async with asyncio.timeout(LONG):
            while not condition():
                self._changed.clear()
                try:
                    await asyncio.wait_for(self._changed.wait(), 0.02)
                except TimeoutError:
                    continue

    @property
    def answers(self) -> list[str]:
        """Text of every response that ended, in order."""
        texts: list[str] = []
        current: list[str] | None = None
        for frame in self.down:
            if isinstance(frame, LLMFullResponseStartFrame):
                current = []
            elif isinstance(frame, LLMTextFrame) and current is not None:
                current.append(frame.text)
            elif isinstance(frame, LLMFullResponseEndFrame) and current is not None:
                texts.append("".join(current))
                current = None
        return texts

    @property
    def text(self) -> str:
        """All text that came out."""
        return "".join(frame.text for frame in self.down if isinstance(frame, LLMTextFrame))

    def of(self, kind: type) -> list[Any]:
        """All frames of one kind that came out downstream."""
        return [frame for frame in self.down if isinstance(frame, kind)]

    @property
    def errors(self) -> list[str]:
        return [frame.error for frame in self.up if isinstance(frame, ErrorFrame)]

    async def push(self, frame: Frame) -> None:
        """Send a frame down into the brain."""
        await self.source.queue_frame(frame)

    async def say(self, text: str, role: str = "user") -> None:
        """The user has spoken: the aggregator's part."""
        self.context.add_message({"role": role, "content": text})
        await self.push(LLMContextFrame(self.context))

    async def sent(self, count: int) -> None:
        """Wait until so many turns were written."""
        await self.until(lambda: len(self.of(TurnSentFrame)) >= count)

    async def answer(self, text: str, *, heard: bool = True) -> str:
        """Say something and wait for the whole answer."""
        before = len(self.answers)
        await self.say(text)
        await self.until(lambda: len(self.answers) > before)
        if heard:
            self.context.add_message({"role": "assistant", "content": self.answers[-1]})
        return self.answers[-1]

    async def interrupt(self) -> None:
        """The user begins to speak."""
        before = len(self.of(InterruptionFrame))
        await self.push(InterruptionFrame())
        await self.until(lambda: len(self.of(InterruptionFrame)) > before)


@asynccontextmanager
async def talking(
    google: Google | None = None,
    *,
    settings: GeminiLiveTextSettings | None = None,
    options: SessionOptions | None = None,
    messages: Sequence[Any] = (),
    tools: Sequence[Any] = (),
    warm: bool = True,
    brain: GeminiLiveTextProcessor | None = None,
    behind: Sequence[FrameProcessor] = (),
) -> AsyncIterator[Bench]:
    """Run a pipeline with a brain that talks to the emulated server, and what stands behind it, if anything does."""
    context = LLMContext(list(messages), **({"tools": list(tools)} if tools else {}))
    if brain is None:
        assert google is not None
        brain = GeminiLiveTextProcessor(
            google.client(), settings=settings, options=options, context=context if warm else None
        )
    bench = Bench(brain, context)
    worker = PipelineWorker(
        Pipeline([bench.source, brain, *behind, bench.sink]),
        cancel_on_idle_timeout=False,
        enable_rtvi=False,
        params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
    )
    async with running(worker, LONG):
        yield bench
