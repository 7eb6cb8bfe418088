"""Voice of the local mind: text is cut into clauses, each spoken as soon as it is whole."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing

from halfcascade.emulator.minds.base import MindError, SynthesisRequest
from halfcascade.emulator.minds.local.packages import espeak_ng
from halfcascade.emulator.minds.local.speech_process import Clause, Engine

_SHORTEST_CLAUSE = 12
_IDLE_SECONDS = 1.0
# A sentence may end the input; a comma counts only once something follows, or "1," of "1,000" would be a clause.
_SENTENCE_END = re.compile(r"[.!?。！？…]+[\"'”’)\]]*(?=\s|$)|\n|[。！？]")
_CLAUSE_END = re.compile(r"[,;:—、，；：](?=\s)|(?<=\s)[–—-](?=\s)")
_ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Prof|vs|etc|e\.g|i\.e|No)\.$", re.IGNORECASE)
_MARKUP_PAUSE = re.compile(r"\[pause(?: short| long)?\]", re.IGNORECASE)
_UNSPEAKABLE = re.compile(r"[*_`#~<>|\\^{}]+")

# Chirp 3 HD voices that Google lists as female. The local voice is one man's; a shift in pitch keeps voices apart.
_HIGHER = re.compile(
    r"achernar|aoede|autonoe|callirrhoe|despina|erinome|gacrux|kore|laomedeia|leda|pulcherrima|sulafat|vindemiatrix|zephyr"
)
_HIGHER_PITCH = 1.12
_ESPEAK_LANGUAGES = {"en": "en-us", "cmn": "cmn", "zh": "cmn", "yue": "yue", "nb": "nb", "no": "nb", "fil": "en-us"}


def split_clauses(text: str, *, last: bool) -> tuple[list[str], str]:
    """Cut text into clauses that can be spoken.

    Parameters:
        text: What has come and was not spoken yet.
        last: Whether nothing comes after it.

    Returns:
        The clauses, and the rest that must wait for more text.
    """
    clauses: list[str] = []
    at = 0
    while end := _next_end(text, at):
        clauses.append(text[at:end].strip())
        at = end
    rest = text[at:]
    if last:
        clauses.append(rest.strip())
        rest = ""
    return [clause for clause in clauses if re.search(r"\w", clause)], rest


def _next_end(text: str, at: int) -> int | None:
    sentence = next(
        (m.end() for m in _SENTENCE_END.finditer(text, at) if not _ABBREVIATION.search(text[at : m.end()])), None
    )
    clause = next((m.end() for m in _CLAUSE_END.finditer(text, at) if m.end() - at >= _SHORTEST_CLAUSE), None)
    ends = [end for end in (sentence, clause) if end is not None]
    return min(ends) if ends else None


def speakable(text: str) -> str:
    """Return the text without what no voice should say: markup, formatting marks."""
    return " ".join(_UNSPEAKABLE.sub(" ", _MARKUP_PAUSE.sub(", ", text)).split())


class LocalSpeaker:
    """Turns text into speech.

    Parameters:
        english: Speaks English.
        other: Speaks everything else.
    """

    def __init__(self, english: Engine, other: Engine):
        self._english = english
        self._other = other

    def synthesize(self, request: SynthesisRequest) -> "LocalSynthesis":
        """Begin a stream.

        Raises:
            MindError: The language cannot be spoken because espeak-ng is missing.
        """
        language = request.language_code.lower()
        base = language.split("-")[0]
        pitch = _HIGHER_PITCH if _HIGHER.fullmatch(request.voice.rsplit("-", 1)[-1].lower()) else 1.0
        if base != "en" and espeak_ng() is None:
            raise MindError(
                f"The local mind speaks {request.language_code} through espeak-ng, which is not installed: "
                "install it with apt or brew, or choose en-US."
            )
        model = Clause("", _ESPEAK_LANGUAGES.get(base, base), request.speaking_rate, pitch)
        return LocalSynthesis(self._english if base == "en" else self._other, model)


class LocalSynthesis:
    """One synthesis stream.

    Parameters:
        engine: What speaks.
        model: Language, rate and pitch of every clause.
    """

    def __init__(self, engine: Engine, model: Clause):
        self._engine = engine
        self._model = model
        self._inputs: asyncio.Queue[str | None] = asyncio.Queue()
        self._closed = asyncio.Event()

    async def text(self, text: str) -> None:
        """Take one input, in order."""
        self._inputs.put_nowait(text)

    async def finish(self) -> None:
        """The client half-closed: speak what is pending, then end ``audio``."""
        self._inputs.put_nowait(None)

    async def audio(self) -> AsyncIterator[bytes]:
        """Yield 16-bit mono PCM at ``SPEAKER_RATE`` as it comes."""
        async for clause in self._clauses():
            # Closed with this generator, not when the collector gets to it: the engine must stop at once.
            async with aclosing(self._engine.say(clause)) as speech:
                async for pcm in speech:
                    if self._closed.is_set():
                        return
                    yield pcm

    async def close(self) -> None:
        """Give everything up at once."""
        self._closed.set()
        self._inputs.put_nowait(None)

    async def _clauses(self) -> AsyncIterator[Clause]:
        rest, last = "", False
        while not last and not self._closed.is_set():
            idle = False
            try:
                text = await asyncio.wait_for(self._inputs.get(), _IDLE_SECONDS if rest.strip() else None)
                last = text is None
                rest += text or ""
            except TimeoutError:
                idle = True  # nobody waits longer for a sentence that was left open
            texts, rest = split_clauses(rest, last=last or idle)
            for text in texts:
                if self._closed.is_set():
                    return
                if spoken := speakable(text):
                    yield Clause(spoken, self._model.language, self._model.rate, self._model.pitch)
