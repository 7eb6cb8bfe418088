"""Where replies are cut, and when: mid-phrase cuts against milliseconds, in virtual time.

python -m bench.cuts [--profile reference] [--half told|other|all] [--fresh]

The replies of ``tests/data/replies.toml`` are written at the pace of a latency profile, and cut by the segmenter and
the clock of the voice itself, for several policies. A cut is in mid-phrase if neither a mark nor a word of the
language's lists ends a phrase there: a check of the cutting, not of the lists. Replies are halved by a hash: policies
are chosen on ``told``, and the figures of ``other`` are those to report. ``--fresh``: each reply is a talk's first.
"""

import argparse
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from halfcascade.emulator.minds.scripted_thinker import cut as pieces_of
from halfcascade.emulator.profiles import load_profile
from halfcascade.processors.chirp_tts.boundaries import units
from halfcascade.processors.chirp_tts.pace import CutClock
from halfcascade.processors.chirp_tts.segmenter import FirstSegment, Segment, SpeechSegmenter
from halfcascade.processors.language import (
    ends_clause,
    ends_sentence,
    expected_pause,
    has_unspaced,
    language,
    normalize,
    word_spans,
)

# What the voice counts on besides the time to first audio (``chirp_tts/service.py``).
_LEAD_SECS = 0.2
LONG_GAP_SECS = 0.25
_EARLIER = "This is what the model has said before in this talk, and it came piece by piece as everything does. "

POLICIES: dict[str, FirstSegment] = {
    "at any word": FirstSegment.fast(),
    "default": FirstSegment(),
    "whole words": FirstSegment(whole_words=True),
    **{f"enough {enough}": FirstSegment(enough=enough) for enough in (6.0, 7.0, 10.0, 12.0)},
    **{f"at most {wait} s": FirstSegment(wait=wait) for wait in (0.2, 0.3, 0.4)},
    "from 1 unit": FirstSegment(early=1.0),
    "from 2 units": FirstSegment(early_clause=2.0, early=2.0),
    "from 4 units": FirstSegment(early_clause=3.0, early=4.0),
}


@dataclass(frozen=True)
class Pace:
    """How text comes and how soon it is heard.

    Parameters:
        chars_per_second: Of the writing.
        delta_chars: How many come at once.
        first_audio: Seconds from a cut to its first sound.
        seasoned: Whether the voice has spoken a reply of the model before.
    """

    chars_per_second: float = 120
    delta_chars: int = 12
    first_audio: float = 0.22
    seasoned: bool = True

    @classmethod
    def of(cls, name: str) -> "Pace":
        """The pace of a latency profile, its medians."""
        profile = load_profile(name)

        def median(value: Any) -> float:
            return float(getattr(value, "median", value))

        first = median(profile.speaker.first_audio) + 2 * median(profile.network.one_way)
        return cls(profile.thinker.chars_per_second, profile.thinker.piece_chars, first)


@dataclass
class Cut:
    """How a reply was cut.

    Parameters:
        at: Seconds from the first text to each cut.
        segments: What was cut.
        gaps: Seconds of silence before each spoken segment but the first, beyond a reader's pause.
    """

    at: list[float] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    _busy_until: float | None = None

    def add(self, now: float, segment: Segment, locale: str, pace: Pace) -> None:
        """Note a segment, and how long it is heard."""
        self.at.append(now)
        self.segments.append(segment)
        if segment.kind not in ("clause", "sentence") or not (length := units(segment.text, locale)):
            return
        ready = now + pace.first_audio
        if self._busy_until is not None:
            self.gaps.append(max(0.0, ready - self._busy_until))
        spoken = length * language(locale).secs_per_unit
        self._busy_until = max(ready, self._busy_until or 0.0) + spoken + expected_pause(segment.text)

    def dry_at(self, pace: Pace) -> float | None:
        """When the next segment must be handed over."""
        return None if self._busy_until is None else self._busy_until - pace.first_audio - _LEAD_SECS


def cut_reply(locale: str, text: str, first: FirstSegment, pace: Pace) -> Cut:
    """Cut a reply that comes at a model's pace, as the voice does."""
    segmenter = SpeechSegmenter(locale, first)
    clock, found = CutClock(segmenter, first), Cut()
    for delta in pieces_of(_EARLIER, pace.delta_chars) if pace.seasoned else ():
        segmenter.feed(delta)
    segmenter.flush()
    pieces, now, until = pieces_of(text, pace.delta_chars), 0.0, 0.0
    for delta in pieces:
        now, until = until, until + len(delta) / pace.chars_per_second
        for segment in segmenter.feed(delta):
            found.add(now, segment, locale, pace)
        clock.text_came(now)
        while (due := clock.due(found.dry_at(pace))) is not None and max(due.at, now) < until:
            now = max(due.at, now)
            clock.tried(due)
            if (forced := segmenter.force(due.place)) is not None:
                found.add(now, forced, locale, pace)
    for segment in segmenter.flush():
        found.add(until, segment, locale, pace)
    return found


def is_mid_phrase(locale: str, before: str, after: str) -> bool:
    """Whether no phrase ends between two stretches of a text."""
    known = language(locale)
    if ends_sentence(before, known.marks) or ends_clause(before) or before.rstrip(" ").endswith("\n"):
        return False
    spans, following = word_spans(before), word_spans(after)
    if not spans or not following:
        return False
    if has_unspaced(before) and before[-1:].isspace():
        return False
    opens = normalize(after[slice(*following[0])])
    endings = (*known.after, *known.phrase_after)
    listed = opens in known.before or opens in known.phrase_before
    return not listed and not (endings and before[slice(*spans[-1])].endswith(endings))


def mid_phrase_cuts(locale: str, text: str, cut: Cut) -> list[bool]:
    """For each segment, whether it ends in mid-phrase."""
    found, at = [], 0
    for segment in cut.segments:
        at += len(segment.text)
        goes_on = segment.kind == "clause" and bool(text[at:].strip())
        found.append(goes_on and is_mid_phrase(locale, text[:at], text[at:]))
    return found


def begins_shortly(text: str, words: int = 5) -> bool:
    """Whether a reply begins with a clause or a sentence of few words, and goes on."""
    first = re.match(r"[^,;:.!?…]*[,;:.!?…]", text)
    return first is not None and len(first.group().split()) <= words and bool(text[first.end() :].strip())


def half_of(text: str) -> str:
    """Which half a reply belongs to."""
    return "told" if zlib.crc32(text.encode()) % 2 == 0 else "other"


def row(replies: Sequence[tuple[str, str]], first: FirstSegment, pace: Pace) -> dict[str, Any]:
    """Cut all of some replies."""
    cuts = [(locale, text, cut_reply(locale, text, first, pace)) for locale, text in replies]
    middles = [mid_phrase_cuts(*cut) for cut in cuts]
    times = [1000 * cut.at[0] for *_, cut in cuts]
    return {
        "replies": len(cuts),
        "ms": [round(float(np.quantile(times, q))) for q in (0.5, 0.9)],
        "mean_ms": round(float(np.mean(times))),
        "first_mid_phrase": round(sum(middle[0] for middle in middles) / len(cuts), 3),
        "later_mid_phrase": round(sum(any(middle[1:]) for middle in middles) / len(cuts), 3),
        "gaps": round(sum(max(cut.gaps, default=0.0) > LONG_GAP_SECS for *_, cut in cuts) / len(cuts), 3),
    }


def main() -> None:
    """Parse the command line and measure."""
    from tests.processors.chirp_tts.corpus import REPLIES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="reference")
    parser.add_argument("--half", choices=("told", "other", "all"), default="other")
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    pace = replace(Pace.of(options.profile), seasoned=not options.fresh)
    told = [reply for reply in REPLIES if options.half in ("all", half_of(reply[1]))]
    groups = {
        "English": [reply for reply in told if reply[0] == "en-US"],
        "Korean": [reply for reply in told if reply[0] == "ko-KR"],
        "others": [reply for reply in told if reply[0] not in ("en-US", "ko-KR")],
    }
    print(f"{options.profile}, half: {options.half}; {pace}")
    print(f"{'':16}{'':9} first cut, ms: median / p90 / mean; in mid-phrase, first / later; replies with a gap")
    result: dict[str, Any] = {"bench": "cuts", "profile": options.profile, "half": options.half}
    for name, first in POLICIES.items():
        result[name] = {group: row(replies, first, pace) for group, replies in groups.items()}
        for group, found in result[name].items():
            times = f"{found['ms'][0]:4} / {found['ms'][1]:4} / {found['mean_ms']:4}"
            middles = f"{found['first_mid_phrase']:5.1%} / {found['later_mid_phrase']:5.1%}"
            print(f"{name:16}{group:9}{times}; {middles}; {found['gaps']:5.1%}")
    print("What a short first clause is worth: all English replies that begin with words, default policy")
    english = [reply for reply in REPLIES if reply[0] == "en-US" and reply[1][0].isalnum()]
    for name, wanted in (("at most 5 words", True), ("longer", False)):
        found = row([reply for reply in english if begins_shortly(reply[1]) is wanted], FirstSegment(), pace)
        result[f"first clause {name}"] = found
        print(f"{name:16}{found['replies']:3} replies; {found['ms'][0]:4} / {found['ms'][1]:4} / {found['mean_ms']:4}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
