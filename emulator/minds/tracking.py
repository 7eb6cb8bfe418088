"""Tells by its content which part of which recording a stream of audio holds.

A client may begin anywhere, repeat a piece, or leave pieces out. The tracker follows the audio as long as it continues
where it was; when it does not, it searches the recordings for what it hears now, and then decides where exactly the one
place ended and the other began.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from halfcascade.emulator.minds.base import LISTENER_RATE
from halfcascade.emulator.minds.recordings import LONGEST_SEARCH, BandFilter, Library, Place, correlation


def _samples(seconds: float) -> int:
    return round(seconds * LISTENER_RATE)


_BLOCK = _samples(0.05)
_FRAME = _samples(0.01)
_STEP = _samples(0.02)
_SILENCE = 10 ** (-56 / 20)  # RMS of full scale: below this a block tells nothing
_HUSH = 10 ** (-44 / 20)  # RMS of a microphone's noise, at most, where the recording is silent
_DRIFT = 2  # samples per block by which clocks may run apart
# Samples by which a place may be off at first: in a vowel that a codec has changed, its neighbours fit as well, and
# higher sounds then fit no more.
_SLACK = 12
_FOLLOW = 0.6  # least correlation of a block that continues where the last one was
_REFOUND = 0.75  # ... and of one that continues a little beside it
_FRAME_FITS = 0.5  # least correlation of so short a piece as a frame at the edge of what fits
_SHORTEST, _SURE_SCORE = _samples(0.14), 0.87  # least sound, and its least correlation, to be found again ...
_LONG, _LONG_SCORE = _samples(0.3), 0.65  # ... and with more sound
_MASKED_SCORE = 0.35  # least correlation of weak sound, masked by noise, between two blocks that were followed
_ALIKE = 2.0  # most that one of two sounds may be louder than the other
_WINDOW = _samples(LONGEST_SEARCH)
_HISTORY = _samples(8.0)  # audio kept for looking back
_LOOK_BACK = _samples(0.1)  # how much of what was thought to be followed a jump may revise
_AHEAD, _BEHIND = _samples(15.0), _samples(2.0)  # where a jump is looked for first
_IMPATIENCE = _samples(0.1)  # least new audio between two searches ...
_PATIENCE = _samples(0.3)  # ... and when nothing was found for a while
_OVER = _samples(0.2)  # silence after which sound that was not found is over
_GIVE_UP = _samples(0.7)  # sound that could not be found for so long is in no recording


@dataclass
class Run:
    """Audio that follows a recording without a break.

    Parameters:
        recording: Index of the recording.
        stream: First sample in the stream.
        sample: First sample in the recording.
        length: Samples.
    """

    recording: int
    stream: int
    sample: int
    length: int

    @property
    def stream_end(self) -> int:
        """First sample of the stream after it."""
        return self.stream + self.length

    @property
    def offset(self) -> int:
        """What must be added to a stream sample to get the recording's."""
        return self.sample - self.stream

    def after(self, position: int) -> "Run":
        """Give the part that begins at a sample of the stream, or later."""
        skipped = max(position - self.stream, 0)
        return Run(self.recording, self.stream + skipped, self.sample + skipped, self.length - skipped)


class Tracker:
    """Follows one stream through the recordings.

    Parameters:
        library: Where it may come from.
    """

    def __init__(self, library: Library) -> None:
        self.runs: list[Run] = []
        self.position = 0
        self._library = library
        self._recordings = library.recordings
        self._filter = BandFilter()
        self._audio = np.empty(0, np.float32)
        self._audio_start = 0
        self._recording, self._offset = -1, 0
        self._following = False
        self._sound_end = 0  # end of the last block that was followed by its sound, not by its silence
        self._lost_since: int | None = None  # where sound began that has not been found yet
        self._quiet = 0  # samples since the last sound
        self._searched_at = 0
        self._cut = 0

    @property
    def settled(self) -> int:
        """Sample of the stream up to which it is decided what it holds."""
        if self._lost_since is not None and self.position - self._lost_since < _GIVE_UP:
            return self._lost_since
        return self.position

    def feed(self, samples: np.ndarray) -> None:
        """Take audio.

        Args:
            samples: Full scale 1.0, at ``LISTENER_RATE``.
        """
        self._audio = np.concatenate((self._audio, self._filter.filter(samples)))
        while self._audio_start + len(self._audio) >= self.position + _BLOCK:
            self._take_block(_BLOCK)
        if (surplus := self.position - _HISTORY - self._audio_start) > 0:
            self._audio = self._audio[surplus:]
            self._audio_start += surplus

    def finish(self) -> None:
        """No more audio comes: decide with what there is."""
        if rest := self._audio_start + len(self._audio) - self.position:
            self._take_block(rest)
        if self._lost_since is not None:
            self._search(self._lost_since)

    def cut(self, position: int) -> None:
        """Forget what came before: it is decided for good.

        Args:
            position: Sample of the stream.
        """
        self._cut = position
        self.runs = [run.after(position) for run in self.runs if run.stream_end > position]

    def _take_block(self, length: int) -> None:
        start, self.position = self.position, self.position + length
        block = self._heard(start, length)
        silent = _rms(block) < _SILENCE
        self._quiet = self._quiet + length if silent else 0
        if self._lost_since is not None and self._quiet >= _OVER:
            self._search(self._lost_since)
            if self._lost_since is None:
                return
            self._lost_since = None
        if self._recording >= 0 and (followed := self._follow(start, block)):
            self._following = True
            self._extend(start, length)
            if followed == "sound":
                self._sound_end = self.position
                self._lost_since = None
            return
        if self._following:
            self._following = False
            if self.runs:
                self._end_run()
        if not silent and self._lost_since is None:
            self._lost_since = start
        if self._lost_since is not None:
            since = self._searched_at if self._searched_at >= self._lost_since else self._lost_since
            wait = _IMPATIENCE if self.position - self._lost_since < _GIVE_UP else _PATIENCE
            if self.position - since >= wait:
                self._search(self._lost_since)

    def _follow(self, start: int, block: np.ndarray) -> Literal["sound", "silence"] | None:
        """Tell whether, and by what, a block continues where the last one was."""
        recording = self._recordings[self._recording]
        expected = recording.piece(start + self._offset - _DRIFT, len(block) + 2 * _DRIFT)
        if _rms(expected) < 2 * _SILENCE and _rms(block) < _HUSH:
            return "silence"
        if _rms(block) < _SILENCE:
            return None
        if self._follow_sound(start, block, _DRIFT, _FOLLOW) or self._follow_sound(start, block, _SLACK, _REFOUND):
            return "sound"
        return None

    def _follow_sound(self, start: int, block: np.ndarray, reach: int, least: float) -> bool:
        """Move the place by so few samples that a block fits best, unless it does not fit well enough."""
        expected = self._recordings[self._recording].piece(start + self._offset - reach, len(block) + 2 * reach)
        scores = [correlation(block, expected[shift : shift + len(block)]) for shift in range(2 * reach + 1)]
        best = int(np.argmax(scores))
        if scores[best] < least:
            return False
        if scores[best] > scores[reach] + 0.01:
            self._offset += best - reach
        return True

    def _extend(self, start: int, length: int) -> None:
        last = self.runs[-1] if self.runs else None
        if last is not None and self._continues(last, start):
            last.length = start + length - last.stream
        else:
            self.runs.append(Run(self._recording, start, start + self._offset, length))

    def _continues(self, run: Run, start: int) -> bool:
        """Tell whether a run goes on at a sample: right away, or after sound too weak to be followed block by block."""
        if run.recording != self._recording or abs(run.offset - self._offset) > _STEP:
            return False
        if (gap := start - run.stream_end) <= 0:
            return True
        if run.stream_end < self._audio_start:
            return False
        heard = self._heard(run.stream_end, gap)
        expected = self._recordings[run.recording].piece(run.stream_end + run.offset, gap)
        # A codec puts noise of the same loudness in the place of a hiss.
        alike = gap <= _BLOCK and 1 / _ALIKE < _rms(heard) / max(_rms(expected), _SILENCE) < _ALIKE
        return alike or correlation(heard, expected) >= _MASKED_SCORE

    def _end_run(self) -> None:
        """Find where in the last blocks the audio ceased to continue: a client may leave something out in mid-block."""
        run = self.runs[-1]
        begin = max(run.stream, self.position - 3 * _BLOCK)
        fits = self._fits(run.recording, run.offset, begin, self.position)
        end = begin + int(np.argmax(np.concatenate(([0.0], np.cumsum(fits))))) * _FRAME
        run.length = end - run.stream
        if not run.length:
            self.runs.pop()

    def _search(self, since: int) -> None:
        self._searched_at = self.position
        first = max(since, self.position - _WINDOW, self._audio_start)
        window = self._heard(first, self.position - first)
        sound = _sounding(window)
        if sound < _SHORTEST:
            return
        place = self._find(window, first)
        if place.score >= (_LONG_SCORE if sound >= _LONG else _SURE_SCORE):
            self._settle(place, first)

    def _find(self, window: np.ndarray, first: int) -> Place:
        if self._recording >= 0:
            expected = first + self._offset
            begin, end = expected - _BEHIND, expected + _AHEAD
            near = self._library.find_near(window, self._recording, begin, end)
            if near.score >= _SURE_SCORE:
                return near
        return self._library.find(window)

    def _settle(self, place: Place, first: int) -> None:
        """Go on from a place that was found, and decide where what was followed before ended."""
        offset = place.sample - first
        earliest = max(self._cut, self._audio_start)
        if self.runs:
            # What was followed by its sound stays, but for the last moments; silence fits anywhere.
            earliest = max(earliest, min(self._sound_end, self.runs[-1].stream_end) - _LOOK_BACK)
        begin = self._begin_of(place.recording, offset, earliest)
        if self.runs and self.runs[-1].stream_end > begin:
            begin = self._change_point(place.recording, offset, begin)
            self._truncate(begin)
        self._recording, self._offset, self._following = place.recording, offset, True
        self.runs.append(Run(place.recording, begin, begin + offset, self.position - begin))
        self._sound_end, self._lost_since = self.position, None

    def _begin_of(self, recording: int, offset: int, earliest: int) -> int:
        """Find where audio began that lies at a place now: as far back as it fits better than it does not."""
        begin = self.position - (self.position - earliest) // _FRAME * _FRAME
        if begin >= self.position:
            return self.position
        # A vowel tells a place less exactly than a hiss needs it.
        nearby = range(offset - _DRIFT, offset + _DRIFT + 1)
        fits = np.max([self._fits(recording, near, begin, self.position) for near in nearby], axis=0)
        return begin + int(np.argmax(np.cumsum(fits[::-1])[::-1])) * _FRAME

    def _fits(self, recording: int, offset: int, begin: int, end: int) -> np.ndarray:
        """Tell for each whole frame how well the audio fits a place: above zero if it does, weighted by loudness."""
        frames = (end - begin) // _FRAME
        heard = self._heard(begin, frames * _FRAME).reshape(frames, _FRAME)
        expected = self._recordings[recording].piece(begin + offset, frames * _FRAME).reshape(frames, _FRAME)
        heard_energy, expected_energy = np.sum(heard**2, axis=1), np.sum(expected**2, axis=1)
        products = np.maximum(np.sum(heard * expected, axis=1), 0.0)
        likeness = products**2 / np.maximum(heard_energy * expected_energy, 1e-12)
        gain = heard_energy.sum() / max(float(expected_energy.sum()), 1e-9)
        missing = np.maximum(min(gain, 1.0) * expected_energy - 4 * heard_energy, 0.0)
        return heard_energy * (likeness - _FRAME_FITS**2) - missing

    def _change_point(self, recording: int, offset: int, begin: int) -> int:
        """Find the frame at which the new place explains the audio better than the old one."""
        old = self.runs[-1]
        frames = range(begin, min(old.stream_end, self.position) - _FRAME + 1, _FRAME)
        gains = [
            self._residual(recording, offset, frame) - self._residual(old.recording, old.offset, frame)
            for frame in frames
        ]
        # Cost of changing at frame k, relative to changing at the first: the frames before k are left to the old place.
        costs = np.concatenate(([0.0], np.cumsum([-gain for gain in gains])))
        return begin + int(np.argmin(costs)) * _FRAME

    def _residual(self, recording: int, offset: int, start: int) -> float:
        heard = self._heard(start, _FRAME)
        likeness = max(correlation(heard, self._recordings[recording].piece(start + offset, _FRAME)), 0.0)
        return float(heard @ heard) * (1 - likeness**2)

    def _truncate(self, position: int) -> None:
        while self.runs and self.runs[-1].stream >= position:
            self.runs.pop()
        if self.runs:
            last = self.runs[-1]
            last.length = min(last.length, position - last.stream)

    def _heard(self, start: int, length: int) -> np.ndarray:
        return self._audio[start - self._audio_start : start - self._audio_start + length]


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0


def _sounding(samples: np.ndarray) -> int:
    """Count the samples in frames that are not silent."""
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    return int(np.count_nonzero(np.sqrt(np.mean(frames**2, axis=1)) >= _SILENCE)) * _FRAME
