"""Brain of the local mind: rules first, a small language model for the rest."""

import asyncio
import re
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from halfcascade.emulator.minds.base import Conversation, FunctionCall
from halfcascade.emulator.minds.local import rules
from halfcascade.emulator.minds.local.history import believed

_SMALL_PROMPT = "You are a concise voice assistant. Answer in one or two short spoken sentences."
_NOTHING = "I am sorry, I have no answer to that. I am only the small stand-in for Gemini."
_CONTEXT_TOKENS = 2048
_MESSAGES = 40
# What was said longer ago only leads a small model astray.
_SHORT_MESSAGES = 3
_SHORT_WORDS = 30
_MOST_TOKENS = 120
_ENOUGH_WORDS = 20
_PIECE_WORDS = 4
_WORDS_PER_SECOND = 40.0
"""How fast a rule's answer streams: about what a fast language model does."""


class LanguageModel(Protocol):
    """Continues a chat."""

    def chat(self, messages: Sequence[dict[str, str]]) -> AsyncGenerator[str, None]:
        """Yield pieces of the answer; closing the iterator cancels it."""

    @property
    def small(self) -> bool:
        """Whether it is the tiny model that is shipped, which long instructions only confuse."""


class LlamaModel:
    """A GGUF model in llama.cpp, on one thread of computing (facts/engines#language-model).

    Parameters:
        path: The model file.
        small: Whether it is the tiny model that is shipped.
    """

    def __init__(self, path: Path, *, small: bool):
        self._path = path
        self._small = small
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llama")
        self._server: Any = None

    @property
    def small(self) -> bool:
        """Whether it is the tiny model that is shipped."""
        return self._small

    async def load(self) -> None:
        """Load the model and answer once, so that the first user does not wait."""
        await asyncio.get_running_loop().run_in_executor(self._worker, self._load)

    def _load(self) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(self._path)
        params.n_ctx = _CONTEXT_TOKENS if self._small else 2 * _CONTEXT_TOKENS
        params.n_parallel = 1
        params.cpuparams.n_threads = 1
        params.cpuparams_batch.n_threads = 1
        params.verbosity = -1
        # Reading a model twice, to see whether it fits into a graphics card's memory, is for large ones.
        params.fit_params = not self._small
        # The library always opens an HTTP server (facts/engines#language-model): on loopback, at a port that is free.
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        self._server = xllamacpp.Server(params)
        warm_up = [{"role": "system", "content": _SMALL_PROMPT}, {"role": "user", "content": "Hello."}]
        self._complete(warm_up, lambda _text: True)

    def _complete(self, messages: Sequence[dict[str, str]], take: Callable[[str], bool]) -> None:
        request = {
            "messages": list(messages),
            "max_tokens": _MOST_TOKENS,
            "temperature": 0.0,
            "repeat_penalty": 1.1,
            "cache_prompt": True,
            "stream": True,
        }
        failures: list[str] = []

        def chunk(data: Any) -> bool:
            stop = False
            for one in data if isinstance(data, list) else [data]:
                if error := one.get("error"):
                    failures.append(str(error.get("message", error)))
                    stop = True
                for choice in one.get("choices", ()):
                    if text := choice.get("delta", {}).get("content"):
                        stop = take(text) or stop
            return stop

        self._server.handle_chat_completions(request, chunk)
        if failures:
            raise RuntimeError(f"The language model {self._path.name} failed: {failures[0]}")

    async def chat(self, messages: Sequence[dict[str, str]]) -> AsyncGenerator[str, None]:
        """Yield pieces of the answer as they are generated."""
        if self._server is None:
            await self.load()
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        cancelled = threading.Event()

        def take(text: str) -> bool:
            if not cancelled.is_set():
                loop.call_soon_threadsafe(pieces.put_nowait, text)
            return cancelled.is_set()

        def work() -> None:
            try:
                if not cancelled.is_set():
                    self._complete(messages, take)
            finally:
                if not cancelled.is_set():
                    loop.call_soon_threadsafe(pieces.put_nowait, None)

        done = loop.run_in_executor(self._worker, work)
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            await done
        finally:
            cancelled.set()

    def close(self) -> None:
        """Free the model, on the worker thread: that may take a moment."""
        with suppress(RuntimeError):  # closed twice
            self._worker.submit(self._unload)
        self._worker.shutdown(wait=False)

    def _unload(self) -> None:
        self._server = None


class LocalThinker:
    """Answers by rules, and with a language model what the rules do not know.

    Parameters:
        model: The language model; None answers everything else with an apology.
        now: Returns local time.
        words_per_second: How fast answers of rules stream; 0 = at once.
    """

    def __init__(
        self,
        model: LanguageModel | None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
        words_per_second: float = _WORDS_PER_SECOND,
    ):
        self._model = model
        self._now = now
        self._words_per_second = words_per_second

    async def think(self, conversation: Conversation) -> AsyncIterator[str | FunctionCall]:
        """Yield pieces of the reply as they come, or a call to a declared function."""
        answer = rules.answer(conversation, self._now())
        if isinstance(answer, FunctionCall):
            yield answer
        elif answer is not None:
            async for piece in self._stream(answer):
                yield piece
        else:
            spoken = False
            # Closed with this generator, not when the collector gets to it: the model must stop at once.
            async with aclosing(self._ask_model(conversation)) as pieces:
                async for piece in pieces:
                    spoken = True
                    yield piece
            if not spoken:
                yield _NOTHING

    async def _stream(self, text: str) -> AsyncIterator[str]:
        for number, piece in enumerate(pieces_of(text)):
            if number and self._words_per_second:
                await asyncio.sleep(len(piece.split()) / self._words_per_second)
            yield piece

    async def _ask_model(self, conversation: Conversation) -> AsyncGenerator[str, None]:
        if self._model is None:
            return
        prompt = (not self._model.small and conversation.system_instruction) or _SMALL_PROMPT
        tidier = Tidier()
        messages = chat_messages(conversation, short=self._model.small)
        async with aclosing(self._model.chat([{"role": "system", "content": prompt}, *messages])) as answer:
            async for raw in answer:
                if piece := tidier.feed(raw):
                    yield piece
                if tidier.enough:
                    break
        if piece := tidier.finish():
            yield piece


def pieces_of(text: str) -> list[str]:
    """Cut a text into pieces of a few words, as a model streams it; joined they are the text."""
    words = re.findall(r"\S+\s*", text)
    return ["".join(words[i : i + _PIECE_WORDS]) for i in range(0, len(words), _PIECE_WORDS)]


def chat_messages(conversation: Conversation, *, short: bool) -> list[dict[str, str]]:
    """Return the newest part of a history as chat messages: roles alternate, a user's comes first.

    Parameters:
        conversation: The history.
        short: Whether to send little of it, for a small model that reads slowly and forgets anyway.
    """
    messages: list[dict[str, str]] = []
    for line in believed(conversation.messages):
        role = "user" if line.role == "user" else "assistant"
        text = " ".join(line.text.split()[:_SHORT_WORDS]) if short and not line.new else line.text
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += f" {text}"
        elif text:
            messages.append({"role": role, "content": text})
    newest = messages[-(_SHORT_MESSAGES if short else _MESSAGES) :]
    return newest[1:] if newest and newest[0]["role"] == "assistant" else newest


class Tidier:
    """Makes a stream of tokens speakable: no markup, and an end once enough was said."""

    def __init__(self) -> None:
        self._held = ""
        self._words = 0
        self.enough = False

    def feed(self, text: str) -> str:
        """Take a piece; return what can be said."""
        if self.enough:
            return ""
        self._held += text
        # A mark may go on in the next piece ("1" "." " "): keep the last word back.
        cut = max(self._held.rfind(" "), self._held.rfind("\n"))
        ready, self._held = self._held[: cut + 1], self._held[cut + 1 :]
        return self._say(ready)

    def finish(self) -> str:
        """Return what was kept back."""
        ready, self._held = self._held, ""
        return "" if self.enough else self._say(ready)

    def _say(self, text: str) -> str:
        text = re.sub(r"(?:^|(?<=\n))\s*(?:[-*•]|\d+[.)])\s+", " ", text)
        text = re.sub(r"[*#`_~|]+", "", text)
        text = re.sub(r"\s+", " ", text)
        out: list[str] = []
        for word in re.findall(r"\S+\s*|\s+", text):
            out.append(word)
            self._words += bool(word.strip())
            if self._words >= _ENOUGH_WORDS and re.search(r"[.!?][\"')]*\s*$", word):
                self.enough = True
                break
        return "".join(out)
