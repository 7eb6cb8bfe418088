"""Ears of the local mind: Moonshine tiny-en behind a voice activity detector of its own. English only."""

import asyncio
import dataclasses
import re
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np

from halfcascade.emulator.minds.base import Hypothesis, MindError, RecognitionRequest, SpeechActivity
from halfcascade.emulator.minds.local.packages import folder_of, heard_language
from halfcascade.emulator.minds.local.voice_activity import PAUSE_SECONDS, Portion, Segmenter, sounds_voiced
from halfcascade.emulator.minds.local.whisper import WhisperEngine

_LANGUAGE = "en-US"
_STABLE = 0.9
_UNSTABLE = 0.1


class Transcriber(Protocol):
    """Turns a portion of speech into text."""

    async def transcribe(self, samples: np.ndarray) -> str:
        """Return the words in mono float32 audio at ``LISTENER_RATE``, or "" if there are none."""


class LateTranscriber(Transcriber, Protocol):
    """One that is loaded when somebody speaks its language."""

    def prepare(self) -> None:
        """Begin to load."""

    def close(self) -> None:
        """Release what was loaded."""


# The library binds itself on first use, and not safely: a second thread would find it half bound.
_LOADING = threading.Lock()


class MoonshineEngine:
    """Moonshine tiny-en on one worker thread, shared by all streams; portions wait in line (about 0.1 s each)."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="moonshine")
        self._transcribe: Callable[[np.ndarray], str] | None = None

    async def load(self) -> None:
        """Load the model and decode once, so that the first user does not wait."""
        await asyncio.get_running_loop().run_in_executor(self._worker, self._load)

    def _load(self) -> None:
        from moonshine_voice import ModelArch
        from moonshine_voice.transcriber import Transcriber

        # A threshold of 0 switches Moonshine's own voice activity detector off. It cuts off the first sound of an
        # utterance as a line of its own, and that line is what the hallucinated first words come from
        # (facts/engines#recognizer): "Thank thanks, and what time is it". The audio that comes here is cut already.
        with _LOADING:
            engine = Transcriber(
                str(folder_of("moonshine_voice") / "assets" / "tiny-en"),
                ModelArch.TINY,
                options={"vad_threshold": "0.0", "return_audio_data": "false"},
            )

        def transcribe(samples: np.ndarray) -> str:
            lines = engine.transcribe_without_streaming(samples.tolist()).lines
            return tidy(" ".join(line.text for line in lines))

        transcribe(np.zeros(8000, dtype=np.float32))
        self._transcribe = transcribe

    async def transcribe(self, samples: np.ndarray) -> str:
        """Return the words in mono float32 audio at ``LISTENER_RATE``."""
        if self._transcribe is None:
            await self.load()
        assert self._transcribe is not None  # noqa: S101  load() has set it
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._transcribe, samples)

    def close(self) -> None:
        """Let the worker thread end; the model goes with it."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._transcribe = None


def tidy(text: str) -> str:
    """Return the text with plain spaces, or "" if it holds no word."""
    text = " ".join(text.split())
    return text if re.search(r"\w", text) else ""


def _bare(word: str) -> str:
    return re.sub(r"\W", "", word).lower()


class LocalListener:
    """Turns English speech into text, and Korean where Whisper is installed.

    Parameters:
        engine: What transcribes English.
        korean: Makes what transcribes Korean, when it is asked for first.
    """

    def __init__(self, engine: Transcriber, korean: Callable[[], LateTranscriber] = lambda: WhisperEngine("ko")):
        self._engine = engine
        self._make_korean = korean
        self._korean: LateTranscriber | None = None

    def recognize(self, request: RecognitionRequest) -> "LocalRecognition":
        """Begin a stream.

        Raises:
            MindError: None of the languages is heard.
        """
        if check_languages(request.language_codes) == "en":
            return LocalRecognition(self._engine, request)
        if self._korean is None:
            self._korean = self._make_korean()
            self._korean.prepare()
        # Each of its looks takes about as long as a second of speech, so it looks once.
        return LocalRecognition(self._korean, dataclasses.replace(request, interim_results=False), "ko-KR")

    def close(self) -> None:
        """Release what was loaded for Korean."""
        if self._korean is not None:
            self._korean.close()
            self._korean = None


def check_languages(codes: Sequence[str]) -> str:
    """Choose the language to listen for: ``en`` or ``ko``.

    Raises:
        MindError: None of them is heard.
    """
    language = heard_language(codes)
    if not language:
        raise MindError(
            f"The local mind hears English only, not {', '.join(codes)}: choose en-US, the scripted mind, or Google."
        )
    return language


class LocalRecognition:
    """One recognition stream.

    Parameters:
        engine: What transcribes.
        request: How the stream wants to be recognized. Phrase hints have no effect.
        language_code: What is spoken.
    """

    def __init__(self, engine: Transcriber, request: RecognitionRequest, language_code: str = _LANGUAGE):
        self._engine = engine
        self._language_code = language_code
        self._interims = request.interim_results
        self._segmenter = Segmenter(PAUSE_SECONDS[request.endpointing])
        self._portions: asyncio.Queue[Portion | None] = asyncio.Queue()
        self._results: asyncio.Queue[Hypothesis | SpeechActivity | Exception | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._last_text = ""

    async def audio(self, pcm: bytes) -> None:
        """Take audio: 16-bit mono at ``LISTENER_RATE``."""
        self._take(self._segmenter.feed(pcm))

    async def finish(self) -> None:
        """The client half-closed: flush what is pending as finals, then end ``results``."""
        self._take(self._segmenter.finish())
        self._portions.put_nowait(None)
        self._ensure_task()

    async def results(self) -> AsyncIterator[Hypothesis | SpeechActivity]:
        """Yield results as they come; ends after ``finish`` has flushed."""
        while (result := await self._results.get()) is not None:
            if isinstance(result, Exception):
                raise result
            yield result

    async def close(self) -> None:
        """Give everything up at once."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._results.put_nowait(None)

    def _take(self, events: list[SpeechActivity | Portion]) -> None:
        for event in events:
            if isinstance(event, SpeechActivity):
                self._results.put_nowait(event)
            else:
                self._portions.put_nowait(event)
                self._ensure_task()

    def _ensure_task(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._transcribe_all(), name="local recognition")

    async def _transcribe_all(self) -> None:
        try:
            await self._transcribe_until_finished()
        except Exception as error:
            self._results.put_nowait(error)
        else:
            self._results.put_nowait(None)

    async def _transcribe_until_finished(self) -> None:
        early: tuple[tuple[int, int], str] | None = None
        while (portion := await self._portions.get()) is not None:
            if portion.kind != "final" and not self._portions.empty():
                continue  # something newer waits
            if portion.kind == "interim" and not self._interims:
                continue
            if portion.kind == "final" and early and early[0] == portion.revision:
                text = early[1]
            elif sounds_voiced(portion.samples):
                text = await self._engine.transcribe(portion.samples)
            else:
                text = ""  # a cough, a knock: the engine would make up a word
            if portion.kind == "early":
                early = (portion.revision, text)
            if portion.kind == "final":
                self._last_text = ""
                if text:
                    # The engine likes to end in a comma; a closed portion is a sentence to whoever reads on.
                    whole = re.sub(r"[,;:\s–—-]+$", ".", text)
                    self._results.put_nowait(
                        Hypothesis(whole, True, portion.start, portion.end, language_code=self._language_code)
                    )
            elif text and self._interims and text != self._last_text:
                self._results.put_nowait(self._interim(portion, text))
                self._last_text = text

    def _interim(self, portion: Portion, text: str) -> Hypothesis:
        words = text.split()
        # What two interims in a row agree on is stable; the rest may still change.
        same = 0
        for one, other in zip(words, self._last_text.split(), strict=False):
            if _bare(one) != _bare(other):
                break
            same += 1
        stable, tail = (" ".join(words[:same]), " ".join(words[same:])) if same else (text, "")
        return Hypothesis(
            text=stable,
            is_final=False,
            start=portion.start,
            end=portion.end,
            stability=_STABLE if same else _UNSTABLE,
            language_code=self._language_code,
            tail=tail,
        )
