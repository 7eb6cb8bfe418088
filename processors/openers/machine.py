"""When an opener is said, and which; no I/O: fed what happens and clock readings, has a deadline, gives what to say."""

import statistics
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from halfcascade.processors.language import language, normalize, phrases, spoken_words

OPENER = "opener"
"""Text type of an opener, by which it is told from answers."""

_SAMPLES = 30
_NOT_AGAIN = 3
# What is wanted while nothing is known: the longest opener there is.
_LONGEST_SECS = 5.0


class OpenerMode(StrEnum):
    """Whether openers are said."""

    OFF = "off"
    AUTO = "auto"
    """When the answer is slow and will take a while yet, and not in two turns that follow each other."""
    ALWAYS = "always"
    """Whenever the answer is not there by the set time."""


@dataclass(frozen=True)
class OpenerParams:
    """When openers are said.

    Parameters:
        mode: Whether.
        after: Seconds after the turn was sent at which an answer that is not there is slow.
        least_wait: Seconds that the answer must be expected to take yet, by how long answers have taken; a shorter wait
            would let the opener delay it.
        another_after: Seconds of silence after an opener at which another one is said.
        most: Openers in one turn.
    """

    mode: OpenerMode = OpenerMode.AUTO
    after: float = 0.5
    least_wait: float = 0.35
    another_after: float = 0.15
    most: int = 4


class OpenerMachine:
    """Decides about openers; says nothing unless every rule holds.

    Nothing is said while the user makes a sound or before the turn is surely over, nothing once the answer's text is
    there, and only phrases whose sound is at hand.
    """

    def __init__(self, locale: str, params: OpenerParams | None = None):
        """Initialize before the first turn.

        Args:
            locale: Of the bot's voice.
            params: When openers are said.
        """
        self._locale = locale
        self._params = params or OpenerParams()
        self._took: dict[bool, deque[float]] = {False: deque(maxlen=_SAMPLES), True: deque(maxlen=_SAMPLES)}
        self._ready: frozenset[str] = frozenset()
        self._text = ""
        self._sent_at: float | None = None
        self._over = False
        self._user_sounds = False
        self._bot_sounds = False
        self._tool = False
        self._said = 0
        self._silent_since = 0.0
        self._said_before = False
        # Of several that fit, another one is said each time.
        self._lately: deque[str] = deque(maxlen=_NOT_AGAIN)

    @property
    def openers(self) -> tuple[str, ...]:
        """Everything that may be said, to be made ready; empty if nothing ever is."""
        if self._params.mode is OpenerMode.OFF:
            return ()
        found = phrases(self._locale).openers
        return tuple(dict.fromkeys((*found.question, *found.request, *found.statement)))

    def ready(self, texts: frozenset[str]) -> None:
        """Tell which phrases can be said at once.

        Args:
            texts: Their texts.
        """
        self._ready = texts

    @property
    def deadline(self) -> float | None:
        """When ``tick`` must be called, in seconds; None as long as nothing can be due."""
        if not self._may_speak():
            return None
        first = (self._sent_at or 0.0) + self._params.after
        # A turn that was sent again, longer, has its own wait, whatever was said while it was shorter.
        return max(first, self._silent_since + self._params.another_after) if self._said else first

    def turn_sent(self, text: str, now: float) -> None:
        """The turn was written to the brain.

        Args:
            text: Its words.
            now: Clock reading in seconds.
        """
        if self._sent_at is None:
            self._said_before, self._said = bool(self._said), 0
        self._text, self._sent_at, self._tool = text, now, False

    def turn_over(self) -> None:
        """It is certain that the user's turn is over."""
        self._over = True

    def turn_open(self) -> None:
        """The user has a turn, or goes on with one: what was to be said is not."""
        self._over = False
        self._sent_at = None

    def user_sounds(self, sounding: bool) -> None:
        """Sound came from the user, or stopped.

        Args:
            sounding: Whether there is some.
        """
        self._user_sounds = sounding

    def bot_sounds(self, sounding: bool, now: float) -> None:
        """The bot is heard, or has fallen silent.

        Args:
            sounding: Whether it is heard.
            now: Clock reading in seconds.
        """
        self._bot_sounds = sounding
        self._silent_since = now

    def tool_called(self) -> None:
        """The answer waits for a function, which has fillers of its own."""
        self._tool = True

    def answer_came(self, now: float) -> None:
        """The first text of the answer is there.

        Args:
            now: Clock reading in seconds.
        """
        if self._sent_at is not None:
            self._took[self._tool].append(now - self._sent_at)
        self._sent_at = None

    def interrupted(self) -> None:
        """What was going on is over."""
        self._sent_at = None

    def tick(self, now: float) -> str | None:
        """Let time pass.

        Args:
            now: Clock reading in seconds.

        Returns:
            What to say now, or None.
        """
        due = self.deadline
        if due is None or now < due or not self._takes_a_while(now):
            return None
        opener = self._choose(now)
        if opener:
            self._said += 1
            self._lately.append(opener)
            # Until it is heard the silence goes on; a second one waits for the end of this one.
            self._silent_since = now + self._params.another_after
        return opener

    def _may_speak(self) -> bool:
        params = self._params
        if params.mode is OpenerMode.OFF or self._sent_at is None or not self._over or self._tool:
            return False
        if self._user_sounds or self._bot_sounds or self._said >= params.most:
            return False
        return params.mode is OpenerMode.ALWAYS or self._said > 0 or not self._said_before

    def _expected(self, now: float) -> float | None:
        """Seconds that the answer will take yet, as answers before it did; None where none has taken that long."""
        elapsed = now - (self._sent_at or now)
        longer = [took for took in self._took[False] if took > elapsed]
        return statistics.median(longer) - elapsed if longer else None

    def _takes_a_while(self, now: float) -> bool:
        """Whether the answer will take long enough, as far as answers before this one tell."""
        expected = self._expected(now)
        # Where no answer has taken that long, this one is an exception: nobody knows.
        return self._params.mode is OpenerMode.ALWAYS or expected is None or expected >= self._params.least_wait

    def _choose(self, now: float) -> str | None:
        """The opener that fits the turn and lasts about as long as the answer will take yet."""
        found = phrases(self._locale).openers
        fitting = getattr(found, turn_kind(self._text, self._locale))
        # Whoever asked waits for something to be done by now, whatever it was.
        pool = (*fitting, *found.request) if self._said else fitting
        at_hand = [text for text in dict.fromkeys(pool) if text in self._ready]
        usable = [text for text in at_hand if text not in self._lately]
        usable = usable or [text for text in at_hand if text != self._lately[-1]]
        expected = self._expected(now)
        wanted = _LONGEST_SECS if expected is None else expected
        return min(usable, key=lambda text: abs(self._length(text) - wanted), default=None)

    def _length(self, text: str) -> float:
        units = sum(word.units for word in spoken_words(text, self._locale))
        return units * language(self._locale).secs_per_unit


def turn_kind(text: str, locale: str) -> str:
    """Tell what a user's turn asks for.

    Args:
        text: Its words.
        locale: Of the conversation.

    Returns:
        The name of a field of ``Openers``.
    """
    known = language(locale)
    words = normalize(text).split()
    if text.rstrip().endswith(("?", "？", "؟", *known.marks)):
        return "question"
    if words and words[0] in known.turns.get("question_words", ()):
        return "question"
    asked = known.phrases.request_words
    if words and (words[0] in asked or words[-1].endswith(asked or ("\0",))):
        return "request"
    return "statement"
