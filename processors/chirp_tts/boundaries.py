"""Where a text may be cut: sentence ends, and the places within a sentence where a speaker might draw breath."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from itertools import pairwise

from pipecat.utils.string import match_endofsentence

from halfcascade.processors.language import has_unspaced, is_unspaced, language, normalize, spoken_words, word_spans
from halfcascade.processors.language.marks import CLAUSE_END, POSSIBLE_END, SURE_END, SURE_ENDS

_BREAK = re.compile(r"[ \t]*\n\s*")
_HIRAGANA = re.compile(r"[\u3041-\u309f]")
# A full stop after a digit or a single letter, at the end of what has come so far, proves nothing.
_NUMBER_OR_INITIAL = re.compile(r"(?:\d|(?<![^\W_])[^\W\d_])\.$")
_ADDRESS = re.compile(r"(?:https?:|www|[\w-]+[@/][\w./-]*|\.\w*)\.?$|[/@:]\S*$", re.IGNORECASE)
_ORDINAL = re.compile(r"\d{1,2}")
_LAST_WORD = re.compile(r"[^\s\"'(\[]+(?=\.$)")
_SPACE_AFTER_WORD = re.compile(r"(?<=\S)[ \t]+(?=\S)")
# Where spaces part phrases (Thai, Lao), a phrase of this many units may stand alone.
_PHRASE_UNITS = 12.0
# Nothing is cut inside brackets, quotes or emphasis, unless they have been open for this many characters.
_LONGEST_ASIDE = 120
_PAIRS = {"(": ")", "[": "]", "（": "）", "「": "」", "『": "』", "《": "》", "“": "”", "«": "»", "【": "】"}
_CLOSING = {closer: opener for opener, closer in _PAIRS.items()}
# Who is quoted may be named after the quotation.
_QUOTED = re.compile(r"[\"“”«»„‘「『]")
_SYMMETRIC = re.compile(r"\*\*|`|\"")

# Unlike a full stop, they stand in no number, address or abbreviation.
SURE_AT_END = "!?" + SURE_ENDS


class Strength(IntEnum):
    """How much a place invites a pause."""

    WORD = 0
    PHRASE = 1
    JOINT = 2
    CLAUSE = 3
    SENTENCE = 4


@dataclass(frozen=True)
class Boundary:
    """A place between two words.

    Parameters:
        end: Where the text before it ends.
        strength: What ends there.
        certain: Whether what follows can change nothing about it.
    """

    end: int
    strength: Strength
    certain: bool = True


def sentence_ends(text: str, locale: str, *, closed: bool) -> Iterator[Boundary]:
    """Find the ends of sentences.

    Args:
        text: What has come so far.
        locale: Its locale.
        closed: Whether the text goes no further.

    Yields:
        Ends, in order. One that is not certain is the last: what comes next decides.
    """
    start = begin = len(text) - len(text.lstrip())
    while start < len(text):
        sure = _sure_end(text, start, begin, locale)
        possible = POSSIBLE_END.search(text, start)
        if possible and possible.end() < sure:
            verdict = _is_end(text, begin, possible.end(), locale, closed=closed)
            if verdict is None:
                yield Boundary(possible.end(), Strength.SENTENCE, certain=False)
                return
            start = possible.end()
            if verdict:
                yield Boundary(start, Strength.SENTENCE)
            if verdict or _is_abbreviation(text[:start], locale):
                begin = start
            continue
        if sure > len(text):
            return
        # White space may go on, and closing marks may follow.
        if sure == len(text) and not closed:
            yield Boundary(sure, Strength.SENTENCE, certain=not text[sure - 1].isspace())
            return
        yield Boundary(sure, Strength.SENTENCE)
        start = begin = sure


def clause_ends(text: str, locale: str) -> Iterator[Boundary]:
    """Find places within a sentence where a clause or a phrase ends.

    Args:
        text: A sentence, as far as it has come.
        locale: Its locale.

    Yields:
        Places, in order, none inside brackets, quotes or emphasis; all of them certain.
    """
    asides = _asides(text)
    places: dict[int, Strength] = {}
    for end, strength in _joints(text, locale):
        places[end] = max(places.get(end, strength), strength)
    for match in CLAUSE_END.finditer(text):
        if match.group().strip() or text[match.end() :].strip():
            places[match.end()] = Strength.CLAUSE
    for end in sorted(places):
        if not any(first < end <= last for first, last in asides):
            yield Boundary(end, places[end])


def last_word_end(text: str, locale: str) -> int:
    """Find the end of the last word that is certainly complete and does not lean on the next one.

    Args:
        text: What has come so far.
        locale: Its locale.

    Returns:
        That place; the end of the last complete word if all of them lean; 0 if there is none.
    """
    spans = word_spans(text)
    if has_unspaced(text):
        final = language(locale).final_words
        ends = [
            (span, following[0])
            for span, following in pairwise(spans)
            if _parts_phrases(text, following[0]) and not text[slice(*following)].startswith((*final, "\0"))
        ]
    else:
        # The last word is complete once a space follows it.
        ends = [(span, span[1]) for span in (spans if text[-1:].isspace() else spans[:-1])]
    firm = (end for (start, stop), end in reversed(ends) if not _leans(text[start:stop], locale))
    return next(firm, ends[-1][1] if ends else 0)


def in_aside(text: str) -> bool:
    """Tell whether a text ends within brackets, quotes or emphasis.

    Args:
        text: What has come so far.
    """
    return any(first < len(text) <= last for first, last in _asides(text))


def may_go_on(text: str, locale: str) -> bool:
    """Tell whether a sentence end at the end of a text may turn out to be none.

    Args:
        text: Ends with sentence punctuation.
        locale: Its locale.

    Returns:
        True after numbers, initials, abbreviations and in the middle of addresses.
    """
    bare = text.rstrip()
    word = bare.split()[-1] if bare else ""
    unfinished = bool(_NUMBER_OR_INITIAL.search(bare) or _ADDRESS.search(word.rstrip(".")))
    return unfinished or _is_abbreviation(bare, locale)


def units(text: str, locale: str) -> float:
    """Tell how long a text takes to say.

    Args:
        text: Any text.
        locale: Its locale.

    Returns:
        Length in units of about a syllable; 0.0 if it holds nothing to say.
    """
    if not any(character.isalnum() for character in text):
        return 0.0
    return sum(word.units for word in spoken_words(text, locale))


def _sure_end(text: str, start: int, begin: int, locale: str) -> int:
    """Where the first sentence ends beyond doubt, behind a beginning of it; behind the text if nowhere."""
    patterns = _sure_marks(language(locale).marks)
    found = [match.end() for one in patterns if (match := one.search(text, start)) and match.end() > begin]
    if spaced := _spaced_end(text, start, locale):
        found.append(spaced)
    return min(found, default=len(text) + 1)


@cache
def _sure_marks(own: str) -> tuple[re.Pattern[str], ...]:
    """Patterns of what ends a sentence beyond doubt; a language adds marks of its own."""
    return (SURE_END, _BREAK, *([re.compile(rf"[{re.escape(own)}]+(?=\s)")] if own else []))


def _is_end(text: str, begin: int, end: int, locale: str, *, closed: bool) -> bool | None:
    """Whether a sentence ends at a mark that is not sure; None if that depends on what comes next."""
    after = text[end:]
    if not after:
        return True if closed else None
    if not after[0].isspace():
        # Korean and the like are sometimes written without the space; Latin letters then belong to an address.
        return not (after[0].isascii() or text[max(0, end - 2) : end - 1].isascii())
    following = after.lstrip()[:1]
    if text[end - 1] in "!?" and not _QUOTED.search(text[begin:end]):
        return True
    if not following:
        return True if closed else None
    if _is_abbreviation(text[:end], locale):
        return False
    lead = end + after.index(following)
    return match_endofsentence(text[begin : lead + 1], language=locale) == end - begin


def _is_abbreviation(text: str, locale: str) -> bool:
    """Whether the full stop that a text ends with belongs to its last word."""
    if not (last := _LAST_WORD.search(text)):
        return False
    known = language(locale)
    return last[0] in known.abbreviations or (known.ordinals and bool(_ORDINAL.fullmatch(last[0])))


def _spaced_end(text: str, start: int, locale: str) -> int:
    """Where a space ends a sentence, in scripts that part sentences and phrases by nothing else; or 0."""
    if not is_unspaced(text[start:].rstrip()[-1:]) and not has_unspaced(text[start:]):
        return 0
    final = language(locale).final_words
    for match in _SPACE_AFTER_WORD.finditer(text, start):
        said = text[start : match.start()]
        if not (is_unspaced(said) and is_unspaced(text[: match.end() + 1])):
            continue
        if said.endswith(final) or units(said, locale) >= _PHRASE_UNITS:
            return match.end()
    return 0


def _joints(text: str, locale: str) -> Iterator[tuple[int, Strength]]:
    """Where a connective lets a clause end, or a small word a phrase, and another word begin."""
    unspaced = has_unspaced(text)
    for (start, end), (following, last) in pairwise(word_spans(text)):
        said = text[start:end]
        # A word is complete when something follows it; only then it is known which one it is.
        strength = _joint_before(said, text[following:last], locale) if last < len(text) else None
        if strength is None and (not unspaced or _parts_phrases(text, following)):
            spaced = unspaced and end < following
            strength = _joint_after(said, locale) or (_phrase_by_space(said, text[following]) if spaced else None)
        if strength is not None:
            yield following, strength


def _joint_before(said: str, following: str, locale: str) -> Strength | None:
    """What a word that begins something lets end before it."""
    known, word = language(locale), normalize(following)
    if word in known.before:
        return Strength.JOINT
    return Strength.PHRASE if word in known.phrase_before and normalize(said) not in known.phrase_before else None


def _joint_after(said: str, locale: str) -> Strength | None:
    """What ends with a word that has the ending of a clause or of a phrase."""
    known = language(locale)
    if said.endswith(known.after):
        return Strength.JOINT
    return Strength.PHRASE if len(said) > 1 and said.endswith(known.phrase_after) else None


def _phrase_by_space(said: str, following: str) -> Strength | None:
    """What a space ends behind a word: scripts that write none between words part phrases by them."""
    return Strength.PHRASE if is_unspaced(said[-1:]) and is_unspaced(following) else None


def _leans(word: str, locale: str) -> bool:
    """Whether a word belongs with the next one, as articles and prepositions do."""
    known = language(locale)
    said = normalize(word)
    return said in known.short or said in known.phrase_before or said in known.turns.get("open_words", ())


def _parts_phrases(text: str, place: int) -> bool:
    """Whether a place between two words may part phrases: in Japanese no particle or ending follows there."""
    here, there = text[place - 1 : place], text[place : place + 1]
    return here.isspace() or there.isspace() or not _HIRAGANA.match(there)


def _asides(text: str) -> list[tuple[int, int]]:
    """Stretches inside brackets, quotes and emphasis; one that is open reaches as far as it may."""
    stretches: list[tuple[int, int]] = []
    opened: list[tuple[str, int]] = []
    for place, character in enumerate(text):
        if character in _PAIRS:
            opened.append((character, place))
        elif (opener := _CLOSING.get(character)) and any(opener == sign for sign, _ in opened):
            while opened:
                sign, began = opened.pop()
                stretches.append((began, place))
                if sign == opener:
                    break
    for sign in ("**", "`", '"'):
        places = [match.start() for match in _SYMMETRIC.finditer(text) if match.group() == sign]
        stretches += list(zip(places[::2], places[1::2], strict=False))
        if len(places) % 2:
            opened.append((sign, places[-1]))
    return stretches + [(began, began + _LONGEST_ASIDE) for _, began in opened]
