"""When a turn is over, from all that is known about it; no I/O.

How it was said, how its words end by lists and by a language model, and how this user pauses become the probability
that the user goes on. From that follows a wait: none where the turn is surely over, the longest where it surely is not.
"""

import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from halfcascade.processors.language import SentenceEnd, TurnWords

_MOST_TEXTS = 8
_CERTAIN = 0.002


@dataclass(frozen=True)
class Weights:
    """How much each piece of evidence says that the user goes on, in log-odds.

    Chosen on the half of ``bench/turn_corpus`` that is never reported: with the language model by logistic regression
    and rounded, without it by hand. Smart Turn told nothing on that corpus; it keeps a little weight for real people.

    Parameters:
        bias: Where nothing is known.
        sound: For each unit of log-odds by which Smart Turn takes the turn to be complete.
        text: For each unit of log-odds by which the language model takes the text to end here.
        ends: For each way in which the words end.
        answer: Besides, where few words follow a question that asks for no more.
    """

    bias: float
    sound: float
    text: float
    ends: dict[SentenceEnd, float] = field(default_factory=dict)
    answer: float = 0.0


WITH_MODEL = Weights(
    bias=-4.7,
    sound=-0.15,
    text=-1.3,
    ends={
        SentenceEnd.ANSWER: -4.0,
        SentenceEnd.DEPENDENT: 1.0,
        SentenceEnd.OPEN: 2.2,
        SentenceEnd.READING_OUT: 2.2,
    },
)
WITHOUT_MODEL = Weights(
    bias=-0.5,
    sound=-0.6,
    text=0.0,
    ends={
        SentenceEnd.ANSWER: -4.0,
        SentenceEnd.DEPENDENT: 1.5,
        SentenceEnd.OPEN: 3.0,
        SentenceEnd.READING_OUT: 3.0,
    },
    answer=-1.0,
)
# Endings tell more than the sound does in languages that mark the end of a sentence.
WITH_ENDINGS = Weights(
    bias=-0.5,
    sound=-0.3,
    text=0.0,
    ends={
        SentenceEnd.ANSWER: -4.0,
        SentenceEnd.CLOSED: -3.2,
        SentenceEnd.FRAGMENT: -1.0,
        SentenceEnd.HANGING: 1.0,
        SentenceEnd.OPEN: 2.0,
        SentenceEnd.READING_OUT: 2.0,
    },
)


@dataclass(frozen=True)
class EndOfTurnParams:
    """How long to wait.

    Parameters:
        surely_over: Probability that the user goes on up to which nothing is waited.
        surely_open: Probability from which the longest wait applies; between both the wait grows with the log-odds.
        longest_wait_secs: Silence after which a turn ends whatever is known. Longer than the 1.4 s that people pause in
            mid-sentence, with room for noticing that they go on.
        model_secs: How long the language model may take to judge the last words before they are judged without it.
        sure_without_model: Probability that the user goes on, by sound and lists, up to which it is not waited for.
        longest_turn_secs: A turn that has lasted longer ends with the next silence: a television never finishes.
        ask_early_below: Probability up to which the answer is asked for while the wait still runs.
        with_model: Weights where the language model has judged the words.
        without_model: Weights where it has not.
        with_endings: Weights where the language marks the ends of its sentences, which the model does not speak.
    """

    surely_over: float = 0.12
    surely_open: float = 0.4
    longest_wait_secs: float = 1.6
    model_secs: float = 0.2
    sure_without_model: float = 0.06
    longest_turn_secs: float = 120.0
    ask_early_below: float = 0.7
    with_model: Weights = WITH_MODEL
    without_model: Weights = WITHOUT_MODEL
    with_endings: Weights = WITH_ENDINGS


class UserPauses:
    """How this user pauses within turns, learned while they talk."""

    # What is taken for granted of somebody unknown: two pauses for every eight turns.
    _WENT_ON, _ENDED = 2.0, 8.0
    _MOST_LOG_ODDS = 0.7
    _ENOUGH = 6
    _SHORTEST_SECS = 1.0

    def __init__(self) -> None:
        """Begin with somebody unknown."""
        self._went_on = 0
        self._ended = 0
        self._recent: deque[float] = deque(maxlen=20)

    def went_on(self, secs: float) -> None:
        """Take note of a pause.

        Args:
            secs: How long it was.
        """
        self._went_on += 1
        self._recent.append(secs)

    def ended(self) -> None:
        """Take note of a turn's end."""
        self._ended += 1

    def reopened(self, secs: float) -> None:
        """Take note that the newest end was none, but a pause.

        Args:
            secs: How long it was.
        """
        self._ended = max(0, self._ended - 1)
        self.went_on(secs)

    @property
    def log_odds(self) -> float:
        """How much likelier than others this user is to go on after a silence."""
        odds = (self._went_on + self._WENT_ON) / (self._ended + self._ENDED) * self._ENDED / self._WENT_ON
        return max(-self._MOST_LOG_ODDS, min(self._MOST_LOG_ODDS, math.log(odds)))

    def longest_wait(self, limit: float) -> float:
        """The longest wait that makes sense: shorter than the limit once many pauses are known and all were short.

        Args:
            limit: In seconds.
        """
        if len(self._recent) < self._ENOUGH:
            return limit
        return min(limit, max(self._SHORTEST_SECS, 1.25 * max(self._recent) + 0.2))


class EndOfTurnJudge:
    """Follows one turn at a time.

    ``speech`` and ``silence`` tell who is heard since when; ``sounded``, ``said`` and ``text_ends`` bring evidence, in
    any order. ``ends_at`` tells until when the silence has to last.
    """

    def __init__(self, words: TurnWords, params: EndOfTurnParams | None = None):
        """Start with no turn.

        Args:
            words: What is known of the user's languages.
            params: How long to wait.
        """
        self._words = words
        self._params = params or EndOfTurnParams()
        self._texts: OrderedDict[str, float] = OrderedDict()
        self._asked: dict[str, float] = {}
        self._ended_silence: float | None = None
        self._ended_began_at: float | None = None
        self._ended_answers = False
        self.pauses = UserPauses()
        self.begin()

    def begin(self, now: float | None = None, *, answers: bool = False) -> None:
        """Begin a turn.

        Args:
            now: When, if it is known.
            answers: Whether the bot has just asked something that a few words may answer.
        """
        self._began_at = now
        self._answers = answers
        self._text = ""
        self._asked.clear()
        self._silent_since: float | None = None
        self._sound: float | None = None

    def end(self) -> None:
        """Take note that the turn is over."""
        self.pauses.ended()
        self._ended_silence, self._ended_began_at = self._silent_since, self._began_at
        self._ended_answers = self._answers
        self.begin()

    def reopen(self, now: float) -> None:
        """Take note that the turn was not over: the user goes on with it.

        Args:
            now: Since when.
        """
        self._began_at, self._answers = self._ended_began_at, self._ended_answers
        if self._ended_silence is not None:
            self.pauses.reopened(max(0.0, now - self._ended_silence))
            self._ended_silence = None

    def speech(self, now: float) -> None:
        """Take note that the user speaks, or goes on.

        Args:
            now: Since when.
        """
        if self._began_at is None:
            self._began_at = now
        if self._silent_since is not None:
            self.pauses.went_on(max(0.0, now - self._silent_since))
        self._silent_since = None
        self._sound = None

    def silence(self, since: float) -> None:
        """Take note that the user is silent.

        Args:
            since: When the silence began.
        """
        self._silent_since = since

    def sounded(self, complete: float) -> None:
        """Take how the speech before this silence sounded.

        Args:
            complete: Smart Turn's probability that the turn is complete.
        """
        self._sound = complete

    def said(self, text: str) -> None:
        """Take the words.

        Args:
            text: All words of the turn so far.
        """
        self._text = text

    def knows_end_of(self, text: str) -> bool:
        """Whether the language model has judged a text.

        Args:
            text: The text.
        """
        return text in self._texts

    def asked(self, text: str, now: float) -> None:
        """Take note that the language model was asked about a text.

        Args:
            text: The text.
            now: When.
        """
        if text not in self._texts:
            self._asked.setdefault(text, now + self._params.model_secs)

    def text_ends(self, text: str, probability: float) -> None:
        """Take what the language model says of a text, the turn's present one or another.

        Args:
            text: The text.
            probability: That it ends here.
        """
        self._asked.pop(text, None)
        self._texts[text] = probability
        self._texts.move_to_end(text)
        while len(self._texts) > _MOST_TEXTS:
            self._texts.popitem(last=False)

    @property
    def is_open(self) -> bool:
        """Whether lists of words say that no sentence ends like this."""
        return self._words.sentence_end(self._text) in (SentenceEnd.OPEN, SentenceEnd.READING_OUT)

    @property
    def goes_on(self) -> float:
        """Probability that the user goes on, from what is known by now."""
        return self._goes_on(self._text)

    def would_be_worth_asking(self, text: str) -> bool:
        """Whether a turn with these words is likely enough to be over for an answer to be prepared.

        Args:
            text: The words, sure or not.
        """
        return self._goes_on(text) <= self._params.ask_early_below

    def _goes_on(self, text: str) -> float:
        end = self._words.sentence_end(text)
        ends = self._texts.get(text)
        if ends is not None:
            weights = self._params.with_model
        else:
            weights = self._params.with_endings if self._words.marks_ends(text) else self._params.without_model
        log_odds = weights.bias + weights.ends.get(end, 0.0) + self.pauses.log_odds
        if self._answers and end is SentenceEnd.FRAGMENT:
            log_odds += weights.answer
        if self._sound is not None:
            log_odds += weights.sound * _log_odds(self._sound)
        if ends is not None:
            log_odds += weights.text * _log_odds(ends)
        return 1.0 / (1.0 + math.exp(-log_odds))

    @property
    def wait_secs(self) -> float:
        """How long the silence has to last, from what is known by now: 0 to ``longest_wait_secs``."""
        params = self._params
        longest = self.pauses.longest_wait(params.longest_wait_secs)
        if self._is_endless():
            return 0.0
        if self._sound is None:
            return longest
        least, most = _log_odds(params.surely_over), _log_odds(params.surely_open)
        share = (_log_odds(self.goes_on) - least) / (most - least)
        return longest * max(0.0, min(1.0, share))

    @property
    def ends_at(self) -> float | None:
        """When the turn is over if nothing more is heard; None while the user speaks."""
        if self._silent_since is None:
            return None
        latest = self._silent_since + self._params.longest_wait_secs
        at = self._silent_since + self.wait_secs
        asked = self._asked.get(self._text)
        if asked is None or self.goes_on <= self._params.sure_without_model:
            return at
        return min(latest, max(at, asked))

    def _is_endless(self) -> bool:
        if self._began_at is None or self._silent_since is None:
            return False
        return self._silent_since - self._began_at > self._params.longest_turn_secs


def _log_odds(probability: float) -> float:
    clipped = max(_CERTAIN, min(1.0 - _CERTAIN, probability))
    return math.log(clipped / (1.0 - clipped))
