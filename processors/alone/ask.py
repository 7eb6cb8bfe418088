"""The brain alone: a typed conversation with the Live session."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

from google import genai
from openai.types.chat import ChatCompletionUserMessageParam
from pipecat.frames.frames import (
    Frame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    LLMTextFrame,
)
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies

from halfcascade.processors.alone.pipeline import Outlet, running
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.frames import APOLOGY, ServiceOutageFrame
from halfcascade.processors.gemini_live import GeminiLiveTextProcessor
from halfcascade.processors.gemini_live.protocol.models import DEFAULT_MODEL

# The brain gives up and apologizes long before this.
_SILENCE_SECS = 60.0
LONGEST_TEXT = 100_000
"""Characters of one turn; more is refused before anything is sent."""


class TypedConversation:
    """A Live session that is typed to: it remembers, calls tools, and can be interrupted.

    Example::

        async with TypedConversation() as chat:
            async for piece in chat.ask("Who wrote Faust?"):
                print(piece, end="")

    Args:
        model: Gemini Live model.
        language: Locale the model answers in.
        instruction: System instruction.
        tools: Functions for the model.
        client: google-genai client, or None for one from the environment.
        on_trouble: Told in one line why an answer takes so long, while it may still come.
    """

    def __init__(
        self,
        *,
        model: str = DEFAULT_MODEL,
        language: str = "en-US",
        instruction: str | None = None,
        tools: Sequence[Any] = (),
        client: genai.Client | None = None,
        on_trouble: Callable[[str], None] = lambda line: None,
    ):
        self.context = LLMContext(tools=list(tools))
        self._brain = GeminiLiveTextProcessor(
            client,
            settings=GeminiLiveTextProcessor.Settings(model=model, language=language, system_instruction=instruction),
            context=self.context,
        )
        self._stack = AsyncExitStack()
        self._worker: PipelineWorker | None = None
        self._answer = _Answer()
        self._on_trouble = on_trouble

    async def __aenter__(self) -> "TypedConversation":
        user, assistant = LLMContextAggregatorPair(
            self.context,
            user_params=LLMUserAggregatorParams(user_turn_strategies=ExternalUserTurnStrategies()),
            realtime_service_mode=False,
        )
        processors = [user, self._brain, Outlet(self._take), assistant]
        self._worker = await self._stack.enter_async_context(running(processors, self._failed))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._worker = None
        await self._stack.aclose()

    async def ask(self, text: str) -> AsyncGenerator[str]:
        """Take one turn. Leaving the loop early interrupts the answer, and the model learns how far it was read.

        Args:
            text: What the user types.

        Yields:
            The answer, piece by piece as it comes; tools are called in between.

        Raises:
            ConfigurationError: If the text is empty or too long, or no answer can be had.
        """
        if not text.strip():
            raise ConfigurationError("There is nothing to ask: give some text.")
        if len(text) > LONGEST_TEXT:
            raise ConfigurationError(f"The text has {len(text):,} characters: at most {LONGEST_TEXT:,} can be sent.")
        if self._worker is None:
            raise RuntimeError("a TypedConversation is to be entered with `async with` first")
        answer = self._answer = _Answer(self._answer.failure)
        message = ChatCompletionUserMessageParam(role="user", content=text.strip())
        await self._worker.queue_frame(LLMMessagesAppendFrame([message], run_llm=True))
        try:
            async for piece in answer.pieces():
                yield piece
        finally:
            if not answer.complete and self._worker is not None:
                await self._worker.queue_frame(InterruptionFrame())

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, ServiceOutageFrame):
            self._on_trouble(frame.line)
        self._answer.take(frame)

    def _failed(self, message: str, permanent: bool) -> None:
        if permanent:
            self._answer.fail(message)


class _Answer:
    """One answer as it comes; knows when nothing more belongs to it."""

    def __init__(self, failure: str = "") -> None:
        self.complete = False
        self.failure = failure
        self._sorry = ""
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._calls: set[str] = set()
        # After a function's result the model speaks again.
        self._expecting = True

    def take(self, frame: Frame) -> None:
        match frame:
            case LLMFullResponseStartFrame():
                self._expecting = False
            case LLMTextFrame() if APOLOGY in frame.metadata:
                self.sorry(frame.metadata[APOLOGY])
            case LLMTextFrame():
                self._queue.put_nowait(frame.text)
            case FunctionCallInProgressFrame():
                self._calls.add(frame.tool_call_id)
            case FunctionCallResultFrame():
                self._calls.discard(frame.tool_call_id)
                speaks = frame.properties.run_llm if frame.properties else None
                self._expecting = self._expecting or speaks is not False
            case LLMFullResponseEndFrame() if not self._expecting and not self._calls:
                self.complete = True
                self._queue.put_nowait(None)
            case _:
                pass

    def fail(self, message: str) -> None:
        self.failure = message
        self._queue.put_nowait(None)

    def sorry(self, why: str) -> None:
        """There is no answer to this question; the next one may have one."""
        self._sorry = why
        self._queue.put_nowait(None)

    async def pieces(self) -> AsyncIterator[str]:
        while True:
            if (why := self.failure or self._sorry) and self._queue.empty():
                self.complete = True
                raise ConfigurationError(why)
            try:
                async with asyncio.timeout(_SILENCE_SECS):
                    piece = await self._queue.get()
            except TimeoutError:
                raise ConfigurationError("Gemini Live did not answer: check the network.") from None
            if piece is None:
                if self.failure or self._sorry:
                    continue
                return
            yield piece


async def ask(text: str, **options: Any) -> AsyncIterator[str]:
    """Ask one thing.

    Args:
        text: The question.
        **options: See ``TypedConversation``.

    Yields:
        The answer, piece by piece.

    Raises:
        ConfigurationError: See ``TypedConversation.ask``.
    """
    async with TypedConversation(**options) as chat:
        async for piece in chat.ask(text):
            yield piece
