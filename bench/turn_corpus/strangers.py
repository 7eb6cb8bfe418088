"""How long the judge of turns waits after words of people who talked to people; no sound.

python -m bench.turn_corpus.strangers [--switchboard FOLDER] [--backcast FOLDER] [--intents FILE] [--half tune|report]

- ``--switchboard``: ``swda_data`` of NathanDuran/Switchboard-Corpus (Switchboard Dialogue Act Corpus, CC BY-NC-SA 3.0).
  Complete: the words of a turn that a full stop or question mark ends and after which the other takes the floor.
  Unfinished: the words of a turn up to a unit that was given up (``%``), where the same speaker goes on.
- ``--backcast``: ``databases/BACKCast`` of etri/etri-miai (Korean broadcast talk with the times of all words,
  CC BY-NC-SA 4.0). Complete: as above. Unfinished: the words before a pause of 0.6 to 2 s within a sentence,
  counted by the length of each pause, too (``real pause``). Of both sources, up to three words after a question of the
  other's are counted besides.
- ``--intents``: ``data/fci.txt`` of warnikchow/3i4k (Korean questions, commands and statements, CC BY-SA 4.0), all of
  them complete; halved by a hash of each.

None of them is part of the project. A hash of the talk's name decides which half it belongs to. Trailing punctuation is
taken away, since it is what was marked; the sound is taken to say nothing.
"""

import argparse
import csv
import json
import random
import re
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from loguru import logger

from halfcascade.processors.language import turn_words
from halfcascade.processors.turns.end_of_turn import EndOfTurnJudge
from halfcascade.processors.turns.text_end import TextEnd, english_text_end

HALVES = ("report", "tune")
ANSWER_SECS = 0.63
"""From a turn's end to the bot's first sound, with the reference profile."""
LONG_SECS, PAUSE_SECS = 0.6, 1.4
"""A complete turn that waits longer waits too long; the pause into which an unfinished one may be talked."""
_MOST_WORDS = 60
# An answer of so many words may be less than a sentence.
_ANSWER_WORDS = 3
_LISTENERS = frozenset({"b", "bh", "bk", "ba", "b^m", "x"})
_QUESTIONS = frozenset({"qy", "qw", "qo", "qy^d", "qw^d", "qrr", "qh", "^g"})
# Units that were given up and end like this are mostly a listener's, at which the talk was cut into units.
_ASSENT = ("yeah", "yes", "yep", "okay", "right", "true", "well")
_GAP_SECS, _LONGEST_GAP_SECS = 0.6, 2.0
_MARKS = " .,?!-…"
_INTENTS = {"1": "statement", "2": "question", "3": "command", "4": "rhetorical question", "5": "rhetorical command"}


@dataclass(frozen=True)
class Words:
    """What somebody had said when they fell silent.

    Parameters:
        text: All words of the turn so far.
        before: What the other had said.
        complete: Whether the turn was over.
        kind: What it is.
        language: Locale.
        pause_secs: How long they were silent in mid-sentence, where that is known.
    """

    text: str
    before: str
    complete: bool
    kind: str
    language: str
    pause_secs: float | None = None

    @property
    def newest(self) -> str:
        """The last sentence of the other."""
        return re.split(r"(?<=[.?!]) ", self.before)[-1]

    @property
    def asked(self) -> bool:
        """Whether the other had just asked something."""
        return self.before.rstrip().endswith("?")

    @property
    def answers(self) -> bool:
        """Whether they are few words after a question."""
        return self.asked and len(self.text.split()) <= _ANSWER_WORDS


def half_of(name: str) -> str:
    """The half that a talk belongs to."""
    return HALVES[zlib.crc32(name.encode()) % 2]


def switchboard(folder: Path, half: str) -> Iterator[Words]:
    """Turns of English telephone talks.

    Args:
        folder: ``swda_data``.
        half: One of ``HALVES``.
    """
    for path in sorted(folder.glob("*/*.txt")):
        if path.stem.isdigit() and half_of(path.stem) == half:
            units = [line.split("|") for line in path.read_text("utf-8").splitlines() if line.count("|") == 2]
            yield from _turns_of_units([unit for unit in units if unit[2] not in _LISTENERS and unit[1].strip()])


def _turns_of_units(units: list[list[str]]) -> Iterator[Words]:
    turn, before, speaker = "", "", ""
    for number, (who, text, act) in enumerate(units):
        if who != speaker:
            turn, before, speaker = "", turn, who
        turn = f"{turn} {text.strip()}".strip()
        following = units[number + 1][0] if number + 1 < len(units) else None
        if len(turn.split()) > _MOST_WORDS:
            continue
        if act == "%" and following == who and not turn.rstrip(_MARKS).lower().endswith(_ASSENT):
            yield Words(turn.rstrip(_MARKS), before, complete=False, kind="given up", language="en-US")
        elif act != "%" and following not in (who, None) and turn.endswith((".", "?")):
            kind = "question" if act in _QUESTIONS else "statement"
            yield Words(turn.rstrip(_MARKS), before, complete=True, kind=kind, language="en-US")


def backcast(folder: Path, half: str) -> Iterator[Words]:
    """Turns of Korean broadcast talks.

    Args:
        folder: ``BACKCast``.
        half: One of ``HALVES``.
    """
    for path in sorted(folder.glob("*/*/word.tsv")):
        if half_of(path.parent.name) == half:
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
            yield from _turns_of_words([row for row in rows if row["backchannels"] == "[]"])


def _turns_of_words(rows: list[dict[str, str]]) -> Iterator[Words]:
    turn, before = "", ""
    for row, following in pairwise(rows):
        turn = f"{turn} {row['text']}".strip()
        ended = row["text"].endswith((".", "?", "!"))
        gap = float(following["start"]) - float(row["end"])
        short = len(turn.split()) <= _MOST_WORDS
        if following["speaker"] != row["speaker"]:
            if ended and short:
                kind = "question" if turn.endswith("?") else "statement"
                yield Words(turn.rstrip(_MARKS), before, complete=True, kind=kind, language="ko-KR")
            turn, before = "", turn
        elif short and not ended and following["sid"] == row["sid"] and _GAP_SECS <= gap <= _LONGEST_GAP_SECS:
            words = turn.rstrip(_MARKS)
            yield Words(words, before, complete=False, kind="pause", language="ko-KR", pause_secs=gap)


class Answers:
    """What the language model says of texts, kept in a file: a question takes a quarter of a second."""

    def __init__(self, model: TextEnd | None, file: Path | None):
        """Load the model and what is kept.

        Args:
            model: The language model, if there is one.
            file: Where its answers are kept, if they are.
        """
        self._model, self._file = model, file
        self._known = json.loads(file.read_text("utf-8")) if file is not None and file.is_file() else {}
        if model is not None:
            model.load()

    def close(self) -> None:
        """Keep the answers and free the model."""
        if self._file is not None:
            self._file.write_text(json.dumps(self._known), "utf-8")
        if self._model is not None:
            self._model.close()

    def probability(self, words: Words) -> float | None:
        """The probability that a text ends, None if nobody can tell.

        Args:
            words: What was said.
        """
        if self._model is None or not self._model.knows(words.text):
            return None
        before = words.newest
        key = f"{before}|{words.text}"
        if key not in self._known:
            self._known[key] = self._model.probability(words.text, before)
        return float(self._known[key])


def intents(file: Path, half: str) -> Iterator[Words]:
    """Korean sentences, many of them said to a device.

    Args:
        file: ``fci.txt``.
        half: One of ``HALVES``.
    """
    for line in file.read_text("utf-8").splitlines():
        label, _, text = line.partition("\t")
        if label in _INTENTS and half_of(text) == half:
            yield Words(text.strip(_MARKS), "", complete=True, kind=_INTENTS[label], language="ko-KR")


def wait_secs(words: Words, ends: float | None) -> float:
    """How long the silence would have to last.

    Args:
        words: What was said.
        ends: The language model's probability that it ends, if it was asked.
    """
    judge = EndOfTurnJudge(turn_words(words.language))
    judge.begin(0.0, answers=words.asked)
    judge.silence(1.0)
    judge.sounded(0.5)
    judge.said(words.text)
    if ends is not None:
        judge.text_ends(words.text, ends)
    return judge.wait_secs


def is_wrong(words: Words, secs: float, pause_secs: float = PAUSE_SECS) -> bool:
    """Whether a complete turn waits too long, or the bot is heard in the pause of an unfinished one.

    Args:
        words: What was said.
        secs: How long is waited.
        pause_secs: How long the pause is.
    """
    return secs > LONG_SECS if words.complete else secs + ANSWER_SECS < pause_secs


def summarize(judged: list[tuple[Words, float]]) -> dict[str, Any]:
    """Shares by kind of what is wrong: with a pause of ``PAUSE_SECS``, and with the real ones where they are known.

    Args:
        judged: What was said, and how long is waited.
    """
    by_name = {
        "complete": [(words, is_wrong(words, secs)) for words, secs in judged if words.complete],
        "unfinished": [(words, is_wrong(words, secs)) for words, secs in judged if not words.complete],
        "real pause": [
            (words, is_wrong(words, secs, words.pause_secs)) for words, secs in judged if words.pause_secs is not None
        ],
    }
    return {name: _shares(those) for name, those in by_name.items() if those}


def _shares(judged: list[tuple[Words, bool]]) -> dict[str, Any]:
    kinds = defaultdict(list)
    for words, wrong in judged:
        for kind in (words.kind, "all", *(["few words, asked"] if words.answers else [])):
            kinds[kind].append(wrong)
    return {
        kind: {"turns": len(those), "wrong": sum(those), "percent": round(100 * sum(those) / len(those), 1)}
        for kind, those in sorted(kinds.items())
    }


def main() -> int:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switchboard", type=Path)
    parser.add_argument("--backcast", type=Path)
    parser.add_argument("--intents", type=Path)
    parser.add_argument("--half", choices=HALVES, default="tune")
    parser.add_argument("--most", type=int, default=1500, help="how many of each kind to judge, chosen at random")
    parser.add_argument("--show", type=int, default=0, help="print so many turns of each kind that are judged wrong")
    parser.add_argument("--answers", type=Path, help="file in which the language model's answers are kept")
    parser.add_argument("--answering", action="store_true", help="judge only few words that follow a question")
    parser.add_argument("--no-model", action="store_true", help="judge without the language model")
    options = parser.parse_args()
    logger.remove()
    sources = ((switchboard, options.switchboard), (backcast, options.backcast), (intents, options.intents))
    for read, folder in sources:
        if folder is None:
            continue
        turns = [turn for turn in read(folder, options.half) if turn.answers or not options.answering]
        rng = random.Random(0)
        chosen = [
            turn for complete in (True, False)
            for turn in _some([turn for turn in turns if turn.complete == complete], options.most, rng)
        ]  # fmt: skip
        model = None if options.no_model else english_text_end([chosen[0].language])
        answers = Answers(model, options.answers)
        judged = [(words, wait_secs(words, answers.probability(words))) for words in chosen]
        answers.close()
        if options.show:
            _show(judged, options.show)
        print(json.dumps({"bench": f"turns, {read.__name__}", "half": options.half, **summarize(judged)}))
    return 0


def _some(turns: list[Words], most: int, rng: random.Random) -> list[Words]:
    return turns if len(turns) <= most else rng.sample(turns, most)


def _show(judged: list[tuple[Words, float]], most: int) -> None:
    for complete in (True, False):
        those = [(words, secs) for words, secs in judged if words.complete == complete and is_wrong(words, secs)]
        for words, secs in those[:most]:
            end = turn_words(words.language).sentence_end(words.text).value
            print("complete" if complete else "unfinished", words.kind, f"{secs:.2f}", end, "|", words.text[-90:])


if __name__ == "__main__":
    sys.exit(main())
