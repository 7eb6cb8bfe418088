"""Where a text ends, by a small language model: the probability that nothing more of the sentence follows.

An optional help. The demo brings such a model (SmolLM2, 135 million parameters, English); without one, lists
of words judge alone. It runs in a thread of its own: a question takes 15 to 40 ms of one core, less for a text whose
beginning it has just seen.
"""

import asyncio
import heapq
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from loguru import logger

from halfcascade.installing import is_there, small_model

MODEL_VARIABLE = "HALFCASCADE_TURN_LLM_PATH"
"""Environment variable that names a GGUF file to use in place of the one that is installed."""
_ENGINE = "xllamacpp"
_ENGLISH = frozenset({"en"})
LATE_SECS = 0.2
"""How long a question may wait. By then ``EndOfTurnParams.model_secs`` are over, and turns are judged without it."""
_CONTEXT_TOKENS = 512
_LIKELIEST = 60
# What the texts of other talks begin with, so that each may go on from there; unless told, the library keeps 8 GiB.
_CACHE_MIB = 16
_LONGEST_WORDS = 60
_GREETING = "Hello! How can I help you?"
_SENTENCE_ENDS = (".", "?", "!")
_TEXT_ENDS = ("<|im_end|>", "<|endoftext|>", "")


class TextEnd(Protocol):
    """Tells whether texts end. Called from a worker thread."""

    def load(self) -> None:
        """Get ready; takes a moment. Raises whatever may be wrong."""

    def knows(self, text: str) -> bool:
        """Whether the text may be in a language of the model. Called on the event loop.

        Args:
            text: What was said.
        """

    def probability(self, text: str, before: str = "") -> float:
        """How likely it is that the text ends here.

        Args:
            text: What was said so far, without punctuation at its end.
            before: What the other speaker had said.
        """

    def close(self) -> None:
        """Free it."""


def model_file() -> Path | None:
    """Find a language model: the file that ``HALFCASCADE_TURN_LLM_PATH`` names, or the small one of the demo."""
    if named := os.environ.get(MODEL_VARIABLE):
        return Path(named).expanduser()
    return small_model()


def _is_spoken(languages: Sequence[str]) -> bool:
    """Whether a language of the model may be spoken."""
    spoken = {language.split("-")[0].lower() for language in languages}
    return not spoken or "auto" in spoken or bool(spoken & _ENGLISH)


def lacks_text_end(languages: Sequence[str]) -> bool:
    """Whether a model would be of use and none is installed: ends of turns are then judged later.

    Args:
        languages: Locales; none, or ``auto``, for any.
    """
    return _is_spoken(languages) and (model_file() is None or not is_there(_ENGINE))


def installed_text_end(languages: Sequence[str]) -> "LlamaTextEnd | None":
    """Get the installed model, if there is one and it knows a language of the user.

    Args:
        languages: Locales; none, or ``auto``, for any.
    """
    path = model_file()
    if path is None or not _is_spoken(languages) or not is_there(_ENGINE):
        return None
    return _shared(path)


def english_text_end(languages: Sequence[str]) -> "LlamaTextEnd | None":
    """Get the model for a talk, whose log tells if there is none.

    Args:
        languages: Locales; none, or ``auto``, for any.
    """
    if lacks_text_end(languages):
        logger.info(
            "No small language model is installed: ends of turns are judged by their sound and by lists of words "
            "(the demo's packages have one)."
        )
    return installed_text_end(languages)


class LlamaTextEnd:
    """A GGUF model in llama.cpp, on one thread of computing; any number of conversations may share it.

    Each ``load`` is to be followed by a ``close``; the last one frees the model.
    """

    def __init__(self, path: Path):
        """Name the file; nothing is loaded yet.

        Args:
            path: The model file.
        """
        self._path = path
        self._server: Any = None
        self._users = 0
        self._lock = threading.Lock()

    def load(self) -> None:
        """Load the model and ask it once.

        Raises:
            FileNotFoundError: There is no such file.
            RuntimeError: It cannot be loaded.
        """
        with self._lock:
            if self._server is None:
                self._open()
            self._users += 1

    def _open(self) -> None:
        if not self._path.is_file():
            raise FileNotFoundError(f"there is no model file {self._path}")
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(self._path)
        params.n_ctx = _CONTEXT_TOKENS
        params.n_parallel = 1
        params.cache_ram_mib = _CACHE_MIB
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.verbosity = -1
        # Reading a model twice, to see whether it fits into a graphics card's memory, is for large ones.
        params.fit_params = bool(os.environ.get(MODEL_VARIABLE))
        # The library always opens an HTTP server (docs/facts engines): on loopback, at a port that is free.
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        self._server = xllamacpp.Server(params)
        # One that is freed before it has begun to work waits for itself for ever, and keeps Python's lock meanwhile.
        self._ask("A:")

    def knows(self, text: str) -> bool:
        """Whether the text is in the letters of English: of several languages, users mix.

        Args:
            text: What was said.
        """
        return all(character.isascii() for character in text if character.isalpha())

    def probability(self, text: str, before: str = "") -> float:
        """How likely it is that the text ends here.

        Args:
            text: What was said so far, without punctuation at its end.
            before: What the other speaker had said.

        Returns:
            The share of what may follow that ends the sentence.

        Raises:
            RuntimeError: The model failed.
        """
        with self._lock:
            if self._server is None:
                raise RuntimeError(f"the language model {self._path.name} is not loaded")
            likeliest = self._ask(f"A: {before or _GREETING}\nB: {' '.join(text.split()[-_LONGEST_WORDS:])}")
        return min(1.0, sum(math.exp(one["logprob"]) for one in likeliest if _is_end(one["token"])))

    def _ask(self, prompt: str) -> list[dict[str, Any]]:
        """Get what may follow a text, the likeliest first. The lock must be held."""
        answers: list[Any] = []
        request = {
            "prompt": prompt,
            "n_predict": 1,
            "temperature": 0.0,
            "n_probs": _LIKELIEST,
            "cache_prompt": True,
        }

        def take(data: Any) -> bool:
            answers.append(data)
            return False

        self._server.handle_completions(request, take)
        answer = answers[0] if answers else {}
        answer = answer[0] if isinstance(answer, list) else answer
        if "choices" not in answer:
            raise RuntimeError(f"the language model {self._path.name} failed: {answer.get('error', 'no answer')}")
        return list(answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"])

    def close(self) -> None:
        """Free the model, if nobody else uses it."""
        with self._lock:
            self._users = max(0, self._users - 1)
            if not self._users:
                self._server = None


# One for all conversations of a process: it takes 200 MB.
_shared = cache(LlamaTextEnd)


def _is_end(token: str) -> bool:
    stripped = token.strip(" \"'”’")
    return (
        token in _TEXT_ENDS
        or token.startswith("\n")
        or (stripped.startswith(_SENTENCE_ENDS) and not stripped.startswith(".."))
    )


class Lane(Executor):
    """One of several ways to the same thread: of what waits for it, that of the lowest rank is done first.

    Args:
        rank: Of this lane.
        thread: Does it.
        waiting: What waits, of all lanes; a heap.
    """

    _numbers = count()

    def __init__(self, rank: int, thread: Executor, waiting: list[Any]):
        self._rank, self._thread, self._waiting = rank, thread, waiting

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Have something done.

        Args:
            fn: What to call.
            *args: With what.
            **kwargs: And with what.

        Returns:
            Its result.
        """
        future: Future[Any] = Future()
        heapq.heappush(self._waiting, (self._rank, next(self._numbers), future, partial(fn, *args, **kwargs)))
        self._thread.submit(self._do_first)
        return future

    def _do_first(self) -> None:
        _, _, future, work = heapq.heappop(self._waiting)
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work())
            except BaseException as error:  # whoever asked is told
                future.set_exception(error)


@cache
def _lanes() -> tuple[Lane, Lane]:
    """One thread for all talks, since the model answers one at a time: for what is urgent, and for the rest."""
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="text_end")
    waiting: list[Any] = []
    return Lane(0, thread, waiting), Lane(1, thread, waiting)


@dataclass(frozen=True)
class _Question:
    text: str
    before: str
    at: float = field(compare=False)


class TextEndAsker:
    """Asks a ``TextEnd`` off the event loop, one text at a time; of texts that wait, only the newest is asked about.

    What fails is logged once, and from then on there are no answers: the turn is judged without. A question whose turn
    comes too late for its answer to be of use, because others are asked about first, is dropped.
    """

    def __init__(self, model: TextEnd, answered: Callable[[str, float], None]):
        """Start with nothing loaded.

        Args:
            model: The model.
            answered: Receives a text and the probability that it ends, on the event loop.
        """
        self._model = model
        self._answered = answered
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lanes: tuple[Lane, Lane] | None = None
        self._next: _Question | None = None
        self._asking: _Question | None = None
        self._usable = True
        self._loaded = False

    def start(self) -> None:
        """Get ready to ask. Must be called with the event loop running.

        The model is loaded at once, before anybody speaks: the library keeps Python's lock for the half second that
        it takes, so that audio would have to wait.
        """
        self._loop = asyncio.get_running_loop()
        self._lanes = _lanes()
        self._run(self._load)

    def ask(self, text: str, before: str, *, urgent: bool = True) -> bool:
        """Ask about a text, unless that is being done already.

        Args:
            text: What was said so far.
            before: What the bot had said.
            urgent: Whether the turn may be over; else other talks' questions go first.

        Returns:
            Whether there will be an answer, unless the model fails.
        """
        if self._lanes is None or not self._usable or not self._model.knows(text):
            return False
        question = _Question(text, before, time.monotonic())
        if question != self._asking and (urgent or question != self._next):
            self._next = question
            self._run(self._answer, urgent=urgent)
        return True

    def stop(self) -> None:
        """Let go of the model, in the worker thread: that may take a moment."""
        lanes, self._lanes = self._lanes, None
        if lanes is not None:
            lanes[0].submit(self._close)

    def _load(self) -> None:
        self._model.load()
        self._loaded = True

    def _close(self) -> None:
        if self._loaded:
            self._loaded = False
            self._model.close()

    def _run(self, work: Callable[[], tuple[str, float] | None], *, urgent: bool = True) -> None:
        if self._loop is not None and self._lanes is not None:
            self._loop.run_in_executor(self._lanes[0 if urgent else 1], work).add_done_callback(self._done)

    def _answer(self) -> tuple[str, float] | None:
        asked, self._next = self._next, None
        self._asking = asked
        if asked is None or not self._usable or time.monotonic() - asked.at > LATE_SECS:
            return None
        return asked.text, self._model.probability(asked.text, asked.before)

    def _done(self, future: "asyncio.Future[tuple[str, float] | None]") -> None:
        self._asking = None
        if future.cancelled() or self._lanes is None:
            return
        if error := future.exception():
            if self._usable:
                self._usable = False
                logger.warning(
                    "The small language model cannot be used ({}): ends of turns are judged without it.",
                    " ".join(str(error).split()) or type(error).__name__,
                )
        elif answer := future.result():
            self._answered(*answer)
