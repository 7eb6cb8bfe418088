"""How the joins between the segments of a reply sound, and what sounding better costs.

python -m bench.joins [--sentences N] [--korean VOICES]

Joe, the neural voice of the ``demo`` extra, says each text whole and in the segments that a policy makes of it, at the
pace at which a model writes; Korean is said by Kokoro with espeak-ng's phonemes and an English speaker's melody
(packages and the folder VOICES as for ``bench.recordings.make``). At every join five things are measured, in the same
way in both: the pause, the step in pitch, how far pitch falls before it, how much the last syllables are lengthened,
and the step in loudness. Speech in one breath tells what is natural where a sentence, a clause, a phrase ends, and in
mid-phrase. A join is natural if every feature lies where nine of ten places of its kind do (its kind is what the text
says ends there). Only those features count that tell natural places from cuts at random places in mid-phrase. Limits
are set on one half of the texts, by hash; natural ends and random cuts of the other half check the measure: about 90 %
of the former must pass, and few of the latter.

Prints, for each policy, milliseconds from the first text to the first segment, the share of joins in mid-phrase and
the share that is natural.
"""

import argparse
import json
import random
import re
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from loguru import logger

from bench.cuts import Pace, cut_reply, half_of, is_mid_phrase
from bench.timed_voices import Joe, Kokoro, Spoken, Voice
from halfcascade.processors.chirp_tts.audio import SpeechTrimmer
from halfcascade.processors.chirp_tts.segmenter import FirstSegment
from halfcascade.processors.language import ends_clause, ends_sentence, expected_pause
from halfcascade.processors.written import speakable

_FRAME_SECS = 0.01
_WINDOW_SECS = 0.25
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 300.0
_VOICED = 0.5

POLICIES: dict[str, FirstSegment] = {
    "at any word": FirstSegment.fast(),
    "enough 6": FirstSegment(enough=6.0),
    "default": FirstSegment(),
    "from 2 units": FirstSegment(early_clause=2.0, early=2.0),
    "from 4 units": FirstSegment(early_clause=3.0, early=4.0),
    "from 8 units": FirstSegment(early_clause=3.5, early=8.0, enough=16.0, wait=1.0),
    "whole sentences": FirstSegment(clause=99, joint=99, phrase=99, early_clause=99, early=99, enough=99, wait=99),
}


def pitch(samples: np.ndarray, rate: int, around: float | None = None) -> np.ndarray:
    """Semitones above 60 Hz for each voiced hundredth of a second, by autocorrelation; NaN where nothing is voiced.

    Args:
        samples: Speech.
        rate: Samples per second.
        around: The speaker's usual pitch in Hz: nothing half or twice as high is found, which is where errors lie.
    """
    lowest, highest = (_LOWEST_HZ, _HIGHEST_HZ) if around is None else (around / 1.6, around * 1.7)
    size, hop = int(0.04 * rate), int(_FRAME_SECS * rate)
    shortest, longest = int(rate / highest), int(rate / lowest)
    found = []
    for start in range(0, max(0, len(samples) - size), hop):
        frame = samples[start : start + size] - samples[start : start + size].mean()
        energy = float(frame @ frame)
        if energy < 1e-3:
            found.append(np.nan)
            continue
        spectrum = np.abs(np.fft.rfft(frame, 2 * size)) ** 2
        correlation = np.fft.irfft(spectrum)[:size] / energy
        lag = shortest + int(np.argmax(correlation[shortest:longest]))
        found.append(12 * np.log2(rate / lag / _LOWEST_HZ) if correlation[lag] > _VOICED else np.nan)
    return np.array(found)


def usual_pitch(samples: np.ndarray, rate: int) -> float:
    """The median pitch of an utterance in Hz."""
    tones = pitch(samples, rate)
    return float(_LOWEST_HZ * 2 ** (np.nanmedian(tones) / 12)) if np.isfinite(tones).any() else _LOWEST_HZ * 2


def level(samples: np.ndarray) -> float:
    """Loudness in dB."""
    return float(10 * np.log10(np.mean(samples**2) + 1e-6))


FEATURES = ("pause", "pitch step", "final fall", "final lengthening", "loudness step")
# Differences in seconds, semitones, log and dB that nobody hears.
_UNHEARD = np.array([0.06, 1.0, 1.0, 0.1, 2.0])
# What readers leave where something ends, beyond what one voice happens to leave (seconds).
_PAUSES = {"sentence": (0.1, 0.9), "clause": (0.05, 0.5), "phrase": (0.0, 0.35), "middle": (0.0, 0.1)}


@dataclass(frozen=True)
class Place:
    """Where one stretch of speech ends and another begins.

    Parameters:
        kind: ``sentence``, ``clause``, ``phrase`` or ``middle``, by the text.
        values: The ``FEATURES``.
    """

    kind: str
    values: np.ndarray


def kind_of(locale: str, before: str, after: str) -> str:
    """What ends between two stretches of a text."""
    if ends_sentence(before):
        return "sentence"
    if ends_clause(before):
        return "clause"
    return "middle" if mid_phrase(locale, before, after) else "phrase"


def measured(
    audio: np.ndarray, end: float, begin: float, pace: tuple[float, float], around: float, rate: int
) -> np.ndarray:
    """What is heard at a place.

    Args:
        audio: Speech as it is heard.
        end: Seconds at which the word before the place ends, about.
        begin: Seconds at which the next word begins, about.
        pace: How long the last word takes, in seconds for each of its letters, and the same of the words before it.
        around: The speaker's usual pitch in Hz.
        rate: Samples per second.

    Returns:
        The ``FEATURES``.
    """
    stop, start = _silence(audio, end, begin, rate)
    size = int(_WINDOW_SECS * rate)
    before, after = audio[:stop], audio[start:]
    tones, next_tones = pitch(before[-2 * size :], rate, around), pitch(after[:size], rate, around)
    voiced, next_voiced = tones[~np.isnan(tones)], next_tones[~np.isnan(next_tones)]
    final = float(np.median(voiced[-8:])) if len(voiced) else 0.0
    first = float(np.median(next_voiced[:8])) if len(next_voiced) else final
    fall = float(np.median(voiced[:8])) - final if len(voiced) else 0.0
    step = level(after[:size]) - level(before[-size:])
    return np.array([(start - stop) / rate, first - final, fall, np.log(pace[0] / pace[1]), step])


def _silence(audio: np.ndarray, end: float, begin: float, rate: int) -> tuple[int, int]:
    """The silent samples at a place: from where to where nothing is heard; none in the middle of sound."""
    hop = int(_FRAME_SECS * rate)
    quiet = 0.02 * float(np.quantile(np.abs(audio), 0.99))
    first, last = max(0, int((end - 0.08) * rate)), min(len(audio), int((begin + 0.08) * rate))
    silent = [at for at in range(first, last - hop, hop) if np.abs(audio[at : at + hop]).max() < quiet]
    if not silent:
        middle = int((end + begin) / 2 * rate)
        return middle, middle
    return silent[0], silent[-1] + hop


def _paces(spoken: Spoken, words: Sequence[str], index: int) -> tuple[float, float]:
    paces = [(end - begin) / (len(word) + 1) for (begin, end), word in zip(spoken.words, words, strict=True)]
    return paces[index - 1], statistics.mean(paces[: max(1, index - 1)])


def place_in(voice: Voice, spoken: Spoken, words: Sequence[str], index: int, around: float) -> Place | None:
    """The place between a word of a text said whole and the next one."""
    if len(spoken.words) != len(words) or not 1 < index < len(words):
        return None
    (_, end), (begin, _) = spoken.words[index - 1], spoken.words[index]
    values = measured(spoken.audio, end, begin, _paces(spoken, words, index), around, voice.rate)
    return Place(kind_of(voice.locale, " ".join(words[:index]), " ".join(words[index:])), values)


def place_between(voice: Voice, written: tuple[str, str], said: str, rest: str) -> Place | None:
    """The place between two segments that are said apart and played as the voice of a talk plays them.

    Args:
        voice: Says them.
        written: Both as written.
        said: What is said first, with the marks that were added.
        rest: What is said then.
    """
    first, second, rate, words = voice.say(said), voice.say(rest), voice.rate, said.split()
    if len(first.words) != len(words) or len(words) < 2:
        return None
    before, after = (_trimmed(spoken.audio, rate) for spoken in (first, second))
    pause = expected_pause(said)
    audio = np.concatenate([before, np.zeros(int(pause * rate)), after])
    end = len(before) / rate
    values = measured(audio, end, end + pause, _paces(first, words, len(words)), usual_pitch(audio, rate), rate)
    return Place(kind_of(voice.locale, *written), values)


def _trimmed(audio: np.ndarray, rate: int) -> np.ndarray:
    trimmer = SpeechTrimmer(rate)
    pcm = trimmer.feed((audio * 32767).astype("<i2").tobytes()) + trimmer.finish(0.0)[0]
    return np.frombuffer(pcm, "<i2").astype(np.float64) / 32768


class Naturalness:
    """Where natural places lie, and whether a join is one of them."""

    # What a join may be like, by what ends there: who pauses where a phrase ends sounds as if a clause did.
    _LIKE: Mapping[str, tuple[str, ...]] = MappingProxyType(
        {
            "sentence": ("sentence",),
            "clause": ("clause", "sentence"),
            "phrase": ("phrase", "clause"),
            "middle": ("middle",),
        }
    )

    def __init__(self, natural: Sequence[Place], random_cuts: Sequence[Place]) -> None:
        self._centers: dict[str, np.ndarray] = {}
        self._spreads: dict[str, np.ndarray] = {}
        for kind in self._LIKE:
            rows = np.array([place.values for place in natural if place.kind == kind])
            low, center, high = np.quantile(rows, [0.05, 0.5, 0.95], axis=0)
            # A reader's pauses are longer and shorter than one voice's.
            low[0], high[0] = min(low[0], _PAUSES[kind][0]), max(high[0], _PAUSES[kind][1])
            center[0] = (low[0] + high[0]) / 2
            self._centers[kind] = center
            self._spreads[kind] = np.maximum((high - low) / 2, _UNHEARD)
        sure = [place for place in natural if place.kind in ("sentence", "clause")]
        self.separates = [_separation(*(self._far(places)[:, at] for places in (sure, random_cuts))) for at in range(5)]
        self.counted = [at for at in range(5) if self.separates[at] >= _LEAST_SEPARATION] or [0]
        self._limits = {
            kind: float(np.quantile([self._from(place, kind) for place in natural if place.kind == kind], 0.9))
            for kind in self._LIKE
        }

    def _far(self, places: Sequence[Place]) -> np.ndarray:
        rows = [np.abs(place.values - self._centers[place.kind]) / self._spreads[place.kind] for place in places]
        return np.array(rows)

    def _from(self, place: Place, kind: str) -> float:
        far = np.abs(place.values - self._centers[kind]) / self._spreads[kind]
        return float(far[self.counted].max())

    def distance(self, place: Place) -> float:
        """How far a join is from what it may be like; up to 1 is natural."""
        return min(self._from(place, kind) / self._limits[kind] for kind in self._LIKE[place.kind])

    def is_natural(self, place: Place) -> bool:
        """Whether it lies where nine of ten natural places of its kind do."""
        return self.distance(place) <= 1.0


_LEAST_SEPARATION = 0.6


def _separation(natural: np.ndarray, other: np.ndarray) -> float:
    """How often a random cut is farther off than a natural place (the area under the ROC curve)."""
    return float((natural[:, None] < other[None, :]).mean() + 0.5 * (natural[:, None] == other[None, :]).mean())


def first_cut(locale: str, text: str, first: FirstSegment) -> tuple[str, str, float]:
    """Cut a reply that comes at a model's pace.

    Returns:
        First segment, the rest, and milliseconds from the first text to the cut.
    """
    cut = cut_reply(locale, text, first, Pace())
    said = cut.segments[0].text
    return said, text[len(said) :], 1000 * cut.at[0]


def mid_phrase(locale: str, before: str, after: str) -> bool:
    """Whether no phrase ends between two stretches of a text."""
    return bool(after.strip()) and is_mid_phrase(locale, before, after)


def texts(locale: str, limit: int) -> list[str]:
    """Replies of one to three plain sentences."""
    from bench.voice_truth import ENGLISH, KOREAN
    from tests.processors.chirp_tts.corpus import REPLIES

    letters, more = ("가-힣", KOREAN) if locale == "ko-KR" else ("A-Za-z", ENGLISH)
    least = 15 if locale == "ko-KR" else 30
    plain = [text for of, text in REPLIES if of == locale and re.fullmatch(rf"[{letters} ,.'!?;:-]{{{least},}}", text)]
    return [*plain, *more.strip().splitlines()][:limit]


def one_breath(first: Spoken, second: Spoken, rate: int) -> Spoken:
    """Two texts one after the other, as the voice's own engine says a text of several sentences."""
    begin = len(first.audio) / rate
    words = [(start + begin, end + begin) for start, end in second.words]
    return Spoken(np.concatenate([first.audio, second.audio]), first.words + words)


def natural_places(voice: Voice, replies: list[str]) -> list[Place]:
    """Places of speech in one breath; each reply goes on with the next one, so that sentences end in it."""
    found = []
    for text, following in sentence_cuts(replies):
        spoken, words = one_breath(voice.say(text), voice.say(following), voice.rate), f"{text} {following}".split()
        around = usual_pitch(spoken.audio, voice.rate)
        found += [place_in(voice, spoken, words, index, around) for index in range(2, len(words))]
    return [place for place in found if place is not None]


def joins(voice: Voice, cuts: Sequence[tuple[str, str]], *, marked: bool) -> Iterator[Place]:
    """The joins of texts that are said in two segments; marked: with a comma where no mark ends the first."""
    for before, after in cuts:
        said, rest = speakable(before, voice.locale), speakable(after, voice.locale)
        if marked and said[-1:].isalnum():
            said += ","
        if said and rest:
            place = place_between(voice, (before.strip(), after.strip()), said, rest)
            if place is not None:
                yield place


def random_cuts(locale: str, replies: Sequence[str], rng: random.Random) -> list[tuple[str, str]]:
    """Each text cut at a random place in mid-phrase, if it has one early on."""
    found = []
    for text in replies:
        words = text.split()
        halves = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(2, min(8, len(words)))]
        if places := [both for both in halves if mid_phrase(locale, *both)]:
            found.append(rng.choice(places))
    return found


def sentence_cuts(replies: Sequence[str]) -> list[tuple[str, str]]:
    """Each text and the next one, as two segments."""
    return list(zip(replies, [*replies[1:], *replies[:1]], strict=True))


def measure(limit: int, korean: Path | None) -> dict[str, Any]:
    """Measure all policies."""
    with tempfile.TemporaryDirectory() as folder:
        voice: Voice = Kokoro(korean) if korean else Joe(Path(folder))
        rng, locale = random.Random(1), voice.locale
        replies = texts(locale, limit)
        told, other = ([text for text in replies if half_of(text) == half] for half in ("told", "other"))
        if not told or not other:
            raise SystemExit("One half has no text, so that nothing can be measured: take more --sentences.")
        judge = Naturalness(
            natural_places(voice, told), list(joins(voice, random_cuts(locale, told * 2, rng), marked=False))
        )
        shares = ", ".join(f"{name} {share:.2f}" for name, share in zip(FEATURES, judge.separates, strict=True))
        print(f"{len(told)} texts set the limits, {len(other)} are measured")
        print(f"Natural places are told from random cuts by {shares}")
        print(f"counted: {', '.join(FEATURES[at] for at in judge.counted)}")
        result: dict[str, Any] = {
            "locale": locale,
            "texts": len(other),
            "separates": dict(zip(FEATURES, judge.separates, strict=True)),
        }
        checked = natural_places(voice, other)
        for kind in ("sentence", "clause", "phrase", "middle"):
            places = [place for place in checked if place.kind == kind]
            result[f"natural {kind}"] = _row(f"check: in one breath, {kind}", judge, places, None, None)
        cuts = random_cuts(locale, other * 2, rng)
        for marked in (False, True):
            label = f"check: random cuts{', comma' if marked else ''}"
            result[label] = _row(label, judge, list(joins(voice, cuts, marked=marked)), None, None)
        result["sentences apart"] = _row(
            "check: whole sentences apart", judge, list(joins(voice, sentence_cuts(other), marked=False)), None, None
        )
        for name, first in POLICIES.items():
            found = [first_cut(locale, text, first) for text in other]
            inner = [(before, after) for before, after, _ in found if after.strip()]
            middle = sum(mid_phrase(locale, before, after) for before, after, _ in found) / len(found)
            for marked in (False, True):
                label = f"{name}{', comma' if marked else ''}"
                places = list(joins(voice, inner, marked=marked))
                result[label] = _row(label, judge, places, [ms for *_, ms in found], middle)
    return result


def _row(
    name: str, judge: Naturalness, places: Sequence[Place], waits: list[float] | None, middle: float | None
) -> dict[str, Any]:
    natural = sum(map(judge.is_natural, places)) / len(places) if places else 1.0
    distance = statistics.median(map(judge.distance, places)) if places else 0.0
    found: dict[str, Any] = {"joins": len(places), "natural": round(natural, 3), "distance": round(distance, 2)}
    text = f"{name:34} joins {len(places):3}, natural {natural:5.0%}, median distance {distance:4.2f}"
    if waits is not None and middle is not None:
        found |= {"ms": [round(float(np.quantile(waits, q))) for q in (0.5, 0.9)], "mid_phrase": round(middle, 3)}
        text += f", {found['ms'][0]:4} / {found['ms'][1]:4} ms, in mid-phrase {middle:4.0%}"
    print(text, flush=True)
    return found


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=200)
    parser.add_argument("--korean", type=Path, metavar="VOICES")
    options = parser.parse_args()
    logger.remove()
    print(json.dumps(measure(options.sentences, options.korean)))


if __name__ == "__main__":
    main()
