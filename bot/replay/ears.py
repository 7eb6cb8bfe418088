"""A recognizer that gives again what was recognized in a saved talk: from the same audio, after the same time."""

import asyncio
import re
import statistics
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from google.cloud.speech_v2.types import cloud_speech

from halfcascade.bot.replay.hearing import SentAudio, UserAudio
from halfcascade.bot.replay.memory import google_error, recognized, until
from halfcascade.bot.replay.tape import USER_RATE, Line
from halfcascade.processors.language import has_unspaced

Response = cloud_speech.StreamingRecognizeResponse
Guess = Callable[[str, str], None]

# A stream that begins or ends within this of one of the recording is that stream.
_SAME_SECS = 0.3
# A stream begins so long before the first word: the ears send what they kept.
_LEAD_SECS = 0.3
INTERIM_LAG_SECS = 0.25
_USUAL_FLUSH_SECS = 0.22
# How our side ends a stream that it does not want any more.
_OURS = ("CancelledError", "GeneratorExit")


@dataclass(frozen=True)
class Word:
    """A word of the user.

    Parameters:
        text: With the space before it, if there is one.
        end: Number of the sample at which it is over.
        language: What it was recognized as.
    """

    text: str
    end: int
    language: str = ""


@dataclass
class HeardStream:
    """A stream of the recording.

    Parameters:
        begin: Number of the first sample that was sent.
        end: Number of the sample behind the last.
        responses: What was answered.
        over: How it ended.
        words: What was understood, and when it was said.
        used: Whether it has been given again.
    """

    begin: int
    end: int
    responses: list[Line]
    over: Line
    words: list[Word] = field(default_factory=list)
    used: bool = False


@dataclass(frozen=True)
class EarsTiming:
    """How long a recognizer takes.

    Parameters:
        interim_secs: From the end of a word until an interim holds it.
        flush_secs: From the half-close to the final.
    """

    interim_secs: float = INTERIM_LAG_SECS
    flush_secs: float = _USUAL_FLUSH_SECS


async def recognize_words(
    sent: SentAudio, words: Callable[[int, int], Sequence[Word]], timing: EarsTiming
) -> AsyncIterator[Response]:
    """Recognize by a table of words: those whose end was sent.

    Args:
        sent: The audio.
        words: Gives the words that are over within a range of samples.
        timing: How long it takes.

    Yields:
        Interims while audio comes, a final behind the half-close.
    """
    lag, told = round(timing.interim_secs * USER_RATE), 0
    while sent.closed_at is None:
        await sent.changed()
        if sent.begin is not None and len(known := words(sent.begin, sent.end - lag)) > told:
            told = len(known)
            yield _response(known, sent, final=False)
    await until(sent.closed_at + timing.flush_secs)
    if sent.begin is not None and (known := words(sent.begin, sent.end)):
        yield _response(known, sent, final=True)


def _response(words: Sequence[Word], sent: SentAudio, *, final: bool) -> Response:
    text = "".join(word.text for word in words).strip()
    end = (words[-1].end - (sent.begin or 0)) / USER_RATE
    result = {"text": text, "final": final, "end": end, "language": words[-1].language}
    return recognized([result], sent.samples / USER_RATE if final else 0.0)


class EarsPlayer:
    """Answers streams as those of the recording were answered.

    A stream of other audio, or one that ends elsewhere, is answered by the words of the recording that lie in it.

    Args:
        lines: The recording's streams (see ``tape``).
        user: The user's part as it is played.
        guess: Told what was asked and how it was answered where the recording has no answer.
    """

    def __init__(self, lines: Sequence[Line], user: UserAudio, guess: Guess):
        self._user = user
        self._guess = guess
        self.streams = [_stream(line) for line in lines if isinstance(line.get("begin"), int)]
        self._words = _timeline(self.streams)
        flushes = [
            response["secs"] for stream in self.streams for response in stream.responses if response["after"] == "close"
        ]
        self._timing = EarsTiming(flush_secs=statistics.median(flushes) if flushes else _USUAL_FLUSH_SECS)

    async def recognize(
        self, requests: AsyncIterator[cloud_speech.StreamingRecognizeRequest]
    ) -> AsyncIterator[Response]:
        """Answer a stream.

        Args:
            requests: Configuration, then audio.

        Yields:
            The responses.

        Raises:
            GoogleAPICallError: Where the recording has one.
        """
        sent = SentAudio(self._user)
        feeding = asyncio.create_task(sent.run(requests))
        try:
            while sent.begin is None and sent.closed_at is None:
                await sent.changed()
            stream = self._stream_at(sent.begin or 0)
            answers = self._as_recorded(stream, sent) if stream else self._by_words(sent)
            async for response in answers:
                yield response
        finally:
            feeding.cancel()

    def words_between(self, begin: int, end: int) -> list[Word]:
        """The words of the recording that are over within a range.

        Args:
            begin: First sample.
            end: The sample behind the last.
        """
        return [word for word in self._words if begin < word.end <= end]

    def _stream_at(self, begin: int) -> HeardStream | None:
        near = [
            stream for stream in self.streams if not stream.used and abs(stream.begin - begin) <= _SAME_SECS * USER_RATE
        ]
        found = min(near, key=lambda stream: abs(stream.begin - begin), default=None)
        if found:
            found.used = True
        return found

    async def _as_recorded(self, stream: HeardStream, sent: SentAudio) -> AsyncIterator[Response]:
        early = stream.begin - (sent.begin or 0)
        waiting = list(stream.responses)
        while waiting and waiting[0]["after"] != "close":
            reached = await sent.reach(waiting[0]["after"] + early)
            if reached is not None:
                await until(reached + waiting[0]["secs"])
            if reached is None or sent.closed_at is not None:
                break
            yield _again(waiting.pop(0))
        if not waiting and stream.over.get("after") != "close" and await self._ends_early(stream, sent, early):
            return
        while sent.closed_at is None:
            await sent.changed()
        if not self._is_whole(stream, sent):
            self._guess("ears", f"{sent.samples / USER_RATE:.1f} s of audio that was cut otherwise")
            await until(sent.closed_at + self._timing.flush_secs)
            if known := self.words_between(sent.begin or 0, sent.end):
                yield _response(known, sent, final=True)
            return
        for response in waiting:
            late = response["secs"] if response["after"] == "close" else self._timing.flush_secs
            await until(sent.closed_at + late)
            yield _again(response)
        await until(sent.closed_at + float(stream.over.get("secs", 0.0)))
        if error := _error(stream.over):
            raise error

    async def _ends_early(self, stream: HeardStream, sent: SentAudio, early: int) -> bool:
        """Wait for the end of a stream that the server ended, unless our side half-closes it before."""
        reached = await sent.reach(int(stream.over.get("after", 0)) + early)
        if reached is None:
            return False
        kind = stream.over.get("error", {}).get("type")
        if kind in _OURS:
            # Our side gave it up as mute: it stays so.
            await asyncio.Event().wait()
        await until(reached + float(stream.over.get("secs", 0.0)))
        if error := _error(stream.over):
            raise error
        return True

    def _is_whole(self, stream: HeardStream, sent: SentAudio) -> bool:
        """Whether what was sent holds the words of the stream and no others."""
        if abs(sent.end - stream.end) <= _SAME_SECS * USER_RATE:
            return True
        return self.words_between(sent.begin or 0, sent.end) == stream.words

    async def _by_words(self, sent: SentAudio) -> AsyncIterator[Response]:
        async for response in recognize_words(sent, self.words_between, self._timing):
            if response.results[0].is_final:
                self._guess("ears", f"{sent.samples / USER_RATE:.1f} s of audio in another stream")
            yield response


def _stream(line: Line) -> HeardStream:
    begin = int(line["begin"])
    stream = HeardStream(begin, begin + int(line.get("sent", 0)), line.get("responses", []), line.get("end", {}))
    stream.words = list(_words_of(stream))
    return stream


def _words_of(stream: HeardStream) -> list[Word]:
    """The words of a stream's finals, spread over its audio, none later than the interim that had it."""
    words: list[Word] = []
    begin = stream.begin + _LEAD_SECS * USER_RATE
    for response in stream.responses:
        for result in response.get("results", []):
            tokens = _tokens(result["text"])
            if not result.get("final") or not tokens:
                continue
            offset = float(result.get("end") or 0.0)
            over = stream.begin + offset * USER_RATE if offset else float(stream.end)
            size, total = 0, sum(map(len, tokens))
            seen = _first_seen(stream)
            for token in tokens:
                size += len(token)
                end = begin + (over - begin) * size / total
                if len(words) < len(seen):
                    end = min(end, seen[len(words)])
                words.append(Word(token, int(end), result["language"]))
            begin = over
    return words


def _first_seen(stream: HeardStream) -> list[float]:
    """For each word of the interims: by which sample it had been said."""
    seen: list[float] = []
    for response in stream.responses:
        if response["after"] == "close":
            break
        count = sum(len(_tokens(result["text"])) for result in response.get("results", []))
        seen += [stream.begin + response["after"] - INTERIM_LAG_SECS / 2 * USER_RATE] * (count - len(seen))
    return seen


def _tokens(text: str) -> list[str]:
    if has_unspaced(text):
        return re.findall(r"\s*\S", text)
    return [f" {word}" for word in text.split()]


def _timeline(streams: Sequence[HeardStream]) -> list[Word]:
    """All words of the talk; audio that was sent again counts as it was understood last."""
    words: list[Word] = []
    for stream in streams:
        if stream.words:
            words = [word for word in words if not stream.begin < word.end <= stream.words[-1].end]
            words += stream.words
    return sorted(words, key=lambda word: word.end)


def _again(response: Line) -> Response:
    return recognized(response.get("results", []), float(response.get("billed", 0.0)))


def _error(over: Line) -> Exception | None:
    error = over.get("error")
    if not error or error.get("type") in _OURS:
        return None
    return google_error(str(error.get("type")), str(error.get("message")))
