"""Joining the deltas in which a model's text arrives."""

from halfcascade.processors.language import needs_space


def letters(text: str) -> str:
    """Reduce a text to what survives speaking and transcribing: letters and digits, caseless.

    Args:
        text: Any text.

    Returns:
        Its letters and digits, casefolded, without spaces and punctuation.
    """
    return "".join(filter(str.isalnum, text.casefold()))


class DeltaJoiner:
    """Joins the deltas of one answer so that no space is lost or added.

    Pieces bring their own spaces, also in the middle of words and in scripts without spaces, so they are passed on as
    they come. Two places need care: white space before the first word is dropped, and a boundary between two segments
    that the server declared finished (whole sentences, facts/live#transcripts on Vertex) gets the space that neither
    brought.
    """

    def __init__(self) -> None:
        self._last = ""
        self._segment_closed = False

    def join(self, delta: str, *, finished: bool = False) -> str:
        """Take one delta.

        Args:
            delta: As the server sent it.
            finished: Whether the server called the segment finished with this delta.

        Returns:
            What to append to the answer; may be empty.
        """
        out = delta if self._last else delta.lstrip()
        if out and self._segment_closed:
            if out[0].isalnum() and needs_space(self._last, out, sentence=True):
                out = f" {out}"
            self._segment_closed = False
        if out:
            self._last = out[-1]
        self._segment_closed = self._segment_closed or (finished and bool(self._last))
        return out


class Resumer:
    """Skips the words of a repeated answer that were already delivered before the connection broke.

    A resumed session never continues an answer in flight (facts/live#lifetime): the turn is asked again, and the answer
    may begin from the start. As long as it repeats what was delivered, letter by letter, it is withheld; once it has
    passed that, the rest flows. An answer that does not begin the same way flows from its start.
    """

    def __init__(self, delivered: str) -> None:
        self._expected = letters(delivered)
        self._tail = delivered[-1:]
        self._matched = 0
        self._held = ""

    @property
    def active(self) -> bool:
        """Whether deltas are still being compared."""
        return bool(self._expected)

    def take(self, delta: str) -> str:
        """Take one delta of the new answer.

        Args:
            delta: As joined.

        Returns:
            What to deliver of everything taken so far.
        """
        if not self._expected:
            return delta
        for index, char in enumerate(delta):
            if self._matched == len(self._expected) and not char.isspace() and not char.isalnum():
                continue  # punctuation that follows the last delivered letter was delivered with it
            if self._matched == len(self._expected):
                self._expected = ""
                return delta[index:].lstrip() if self._tail.isspace() else delta[index:]
            folded = letters(char)
            if not folded:
                continue
            if not self._expected.startswith(folded, self._matched):
                self._expected = ""
                return self._spaced(self._held + delta)
            self._matched += len(folded)
        self._held += delta
        return ""

    def _spaced(self, text: str) -> str:
        """Part a text that does not repeat the delivered one from it."""
        return f" {text}" if needs_space(self._tail, text) else text
