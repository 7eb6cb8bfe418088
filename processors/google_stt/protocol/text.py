"""Joining recognized text: segments of one turn, and segments whose audio overlapped."""

from halfcascade.processors.language import clusters, has_unspaced, normalize

# Words (or characters, in unspaced scripts) around a seam in which the overlap is looked for. Two seconds of fast
# speech hold about ten words and sixteen characters.
_SEAM_UNITS = 24
# Units that a cut in mid-word may have garbled on either side of what both segments heard alike.
_GARBLED_UNITS = 2


def merge_overlap(head: str, tail: str) -> tuple[str, str]:
    """Cut two transcripts of overlapping audio so that, joined, they say each word once.

    Both ends of the overlap may fall into a word, so the last word of the head and the first of the tail cannot be
    trusted. What both heard alike is the anchor: the head is kept up to its end, the tail from there on.

    Args:
        head: Transcript of the earlier audio; its end overlaps.
        tail: Transcript of the later audio; its beginning overlaps.

    Returns:
        What to keep of the head and of the tail. Unchanged if nothing was heard alike.
    """
    head_units, tail_units = _units(head), _units(tail)
    offset = max(0, len(head_units) - _SEAM_UNITS)
    left = [_normalized(unit) for unit in head_units[offset:]]
    right = [_normalized(unit) for unit in tail_units[:_SEAM_UNITS]]
    anchor = _find_anchor(left, right)
    if anchor is None:
        for i, unit in enumerate(right[: _GARBLED_UNITS + 1]):
            if left and left[-1] and unit.startswith(left[-1]):
                # The head ends in the first half of a word that the tail has whole.
                return _text(head_units[:-1], head), _text(tail_units[i:], tail)
        return head, tail
    head_end, tail_start = anchor
    return _text(head_units[: offset + head_end], head), _text(tail_units[tail_start:], tail)


def _find_anchor(left: list[str], right: list[str]) -> tuple[int, int] | None:
    """Find the longest run both hold, near the head's end and the tail's beginning; (end in left, end in right)."""
    best: tuple[int, int, int, int] | None = None
    for i in range(len(left)):
        for j in range(min(len(right), _GARBLED_UNITS + 1)):
            length = 0
            while i + length < len(left) and j + length < len(right) and left[i + length] == right[j + length]:
                length += 1
            rest = len(left) - i - length
            if length == 0 or rest > _GARBLED_UNITS:
                continue
            rank = (length, -rest - j, i + length, j + length)
            if best is None or rank[:2] > best[:2]:
                best = rank
    return best and (best[2], best[3])


def _units(text: str) -> list[str]:
    return clusters(text) if has_unspaced(text) else text.split()


def _text(units: list[str], model: str) -> str:
    return ("" if has_unspaced(model) else " ").join(units).rstrip()


def _normalized(unit: str) -> str:
    return normalize(unit).replace(" ", "")
