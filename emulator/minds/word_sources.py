"""Where the scripted listener's words come from: recordings that it knows, or a list of utterances."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from halfcascade.emulator.minds.base import LISTENER_RATE
from halfcascade.emulator.minds.recordings import Library, Recording
from halfcascade.emulator.minds.tracking import Run, Tracker

_HEARD_SHARE = 0.6  # of a word's span that must arrive for it to be understood
_REPEAT = round(0.06 * LISTENER_RATE)  # going back further than this within a recording says words again


class HeardWord(NamedTuple):
    """A word that was understood.

    Parameters:
        word: As written.
        start: Seconds of stream audio.
        end: Seconds.
        language_code: What is spoken, or "".
        speaker: Who says it, from 1; 0 = they are not told apart.
    """

    word: str
    start: float
    end: float
    language_code: str = ""
    speaker: int = 0


class WordSource(Protocol):
    """Says which words a stream holds. All times are seconds of stream audio."""

    @property
    def settled(self) -> float:
        """Up to where it is decided what the stream holds."""

    @property
    def speech_begin(self) -> float | None:
        """Where the speech of the open portion began."""

    @property
    def speech_end(self) -> float | None:
        """Where speech was last heard in the open portion; what was heard last may still go on."""

    def feed(self, samples: np.ndarray) -> None:
        """Take audio, full scale 1.0, at ``LISTENER_RATE``."""

    def finish(self) -> None:
        """No more audio comes."""

    def words(self) -> list[HeardWord]:
        """Give the words of the open portion so far."""

    def close_portion(self) -> list[HeardWord]:
        """Close the open portion, with all its words, and open the next."""

    @property
    def alternatives(self) -> Sequence[str]:
        """Other readings of the portion that was closed last."""


class RecordingSource:
    """Finds by content which words of known recordings arrived.

    A word counts as heard when at least 60 % of its span arrived in one piece of listening; audio that arrives twice is
    heard twice.

    Parameters:
        library: Where audio may come from.
        phrases: Of words that sound alike, those in a phrase are meant.
    """

    def __init__(self, library: Library, phrases: Sequence[str] = ()) -> None:
        self._recordings = library.recordings
        self._hinted = {word.lower() for phrase in phrases for word in phrase.split()}
        self._tracker = Tracker(library)

    @property
    def settled(self) -> float:
        """See ``WordSource``."""
        return self._tracker.settled / LISTENER_RATE

    @property
    def speech_begin(self) -> float | None:
        """See ``WordSource``."""
        begin = min((start for run in self._tracker.runs for _, start, _ in self._pieces(run)), default=None)
        return None if begin is None else begin / LISTENER_RATE

    @property
    def speech_end(self) -> float | None:
        """See ``WordSource``."""
        end = max((end for run in self._tracker.runs for _, _, end in self._pieces(run)), default=None)
        return None if end is None else end / LISTENER_RATE

    def feed(self, samples: np.ndarray) -> None:
        """See ``WordSource``."""
        self._tracker.feed(samples)

    def finish(self) -> None:
        """See ``WordSource``."""
        self._tracker.finish()

    def words(self) -> list[HeardWord]:
        """See ``WordSource``."""
        return [word for hearing in self._hearings() for word in hearing.words()]

    def close_portion(self) -> list[HeardWord]:
        """See ``WordSource``."""
        words = self.words()
        self._tracker.cut(self._tracker.settled)
        return words

    @property
    def alternatives(self) -> Sequence[str]:
        """See ``WordSource``."""
        return ()

    def _hearings(self) -> Iterator["_Hearing"]:
        """Group the runs into stretches that go forward in one recording: within one no word comes twice."""
        hearing: _Hearing | None = None
        reached = 0
        for run in self._tracker.runs:
            if hearing is None or hearing.index != run.recording or run.sample < reached - _REPEAT:
                if hearing is not None:
                    yield hearing
                hearing = _Hearing(run.recording, self._recordings[run.recording], {}, self._hinted)
            for word, start, end in self._pieces(run):
                covered, first, _ = hearing.covered.get(word, (0, start, end))
                hearing.covered[word] = (covered + end - start, first, end)
            reached = run.sample + run.length
        if hearing is not None:
            yield hearing

    def _pieces(self, run: Run) -> Iterator[tuple[int, int, int]]:
        """Give the words that a run touches: index, first and end sample in the stream."""
        recording = self._recordings[run.recording]
        first = np.searchsorted(recording.ends, run.sample, side="right")
        for word in range(int(first), len(recording.words)):
            start = max(recording.starts[word], run.sample)
            end = min(recording.ends[word], run.sample + run.length)
            if recording.starts[word] >= run.sample + run.length:
                break
            if end > start:
                yield word, start - run.offset, end - run.offset


@dataclass
class _Hearing:
    index: int
    recording: Recording
    covered: dict[int, tuple[int, int, int]]
    hinted: Set[str] = frozenset()

    def words(self) -> Iterator[HeardWord]:
        for word, (covered, first, end) in self.covered.items():
            if covered >= _HEARD_SHARE * (self.recording.ends[word] - self.recording.starts[word]):
                said = self.recording.words[word]
                spelled = next((text for text in said.sounds_like if text.lower() in self.hinted), said.word)
                yield HeardWord(
                    spelled, first / LISTENER_RATE, end / LISTENER_RATE, self.recording.language_code, said.speaker
                )


@dataclass(frozen=True)
class Utterance:
    """What a user says.

    Parameters:
        text: The words.
        language_code: What is spoken, or "".
        word_seconds: How long a word takes to say, for interims.
        alternatives: Other readings, for clients that ask for some.
    """

    text: str
    language_code: str = ""
    word_seconds: float = 0.3
    alternatives: tuple[str, ...] = ()


class UtteranceScript:
    """Hands out utterances in order, over and over, to all streams of a listener.

    Parameters:
        utterances: In the order in which they are said; none = they are numbered.
    """

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        self._utterances = tuple(utterances)
        self._said = 0

    def peek(self) -> Utterance:
        """Give the utterance that is being said."""
        if not self._utterances:
            return Utterance(f"utterance {self._said + 1}")
        return self._utterances[self._said % len(self._utterances)]

    def take(self) -> Utterance:
        """The utterance has been said."""
        utterance = self.peek()
        self._said += 1
        return utterance

    def reset(self) -> None:
        """Begin again with the first."""
        self._said = 0


_FRAME = LISTENER_RATE // 50
_LOUD = 10 ** (-42 / 20)  # RMS of full scale that counts as speech
_LEAST_SPEECH = 0.1  # seconds; less is a click


class UtteranceSource:
    """Takes the n-th stretch of sound for the n-th utterance, whatever it says.

    Parameters:
        script: The utterances.
    """

    def __init__(self, script: UtteranceScript) -> None:
        self._script = script
        self._rest = np.empty(0, np.float32)
        self._samples = 0
        self._begin: float | None = None
        self._end: float | None = None
        self._loud = 0.0
        self.alternatives: Sequence[str] = ()

    @property
    def settled(self) -> float:
        """See ``WordSource``."""
        return self._samples / LISTENER_RATE

    @property
    def speech_begin(self) -> float | None:
        """See ``WordSource``."""
        return self._begin if self._loud >= _LEAST_SPEECH else None

    @property
    def speech_end(self) -> float | None:
        """See ``WordSource``."""
        return self._end

    def feed(self, samples: np.ndarray) -> None:
        """See ``WordSource``."""
        samples = np.concatenate((self._rest, samples))
        whole = len(samples) // _FRAME * _FRAME
        self._rest = samples[whole:]
        for frame in samples[:whole].reshape(-1, _FRAME):
            start, self._samples = self.settled, self._samples + _FRAME
            if float(np.sqrt(np.mean(frame**2))) >= _LOUD:
                if self._begin is None:
                    self._begin = start
                self._end = self.settled
                self._loud += _FRAME / LISTENER_RATE

    def finish(self) -> None:
        """See ``WordSource``."""

    def words(self) -> list[HeardWord]:
        """See ``WordSource``."""
        utterance = self._script.peek()
        if self.speech_begin is None or self._begin is None or self._end is None:
            return []
        said = [
            (word, self._begin + number * utterance.word_seconds, self._begin + (number + 1) * utterance.word_seconds)
            for number, word in enumerate(utterance.text.split())
        ]
        return [HeardWord(word, start, end, utterance.language_code) for word, start, end in said if end <= self._end]

    def close_portion(self) -> list[HeardWord]:
        """See ``WordSource``."""
        begin, end = self._begin, self._end
        heard = self.speech_begin is not None
        self._begin = self._end = None
        self._loud = 0.0
        self.alternatives = ()
        if not heard or begin is None or end is None:
            return []
        utterance = self._script.take()
        self.alternatives = utterance.alternatives
        words = utterance.text.split()
        step = (end - begin) / max(len(words), 1)
        return [
            HeardWord(word, begin + number * step, begin + (number + 1) * step, utterance.language_code)
            for number, word in enumerate(words)
        ]
