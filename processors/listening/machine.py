"""When a listening sound is made, and which; no I/O: fed what happens and clock readings, has a deadline."""

from collections.abc import Mapping
from dataclasses import dataclass

from halfcascade.processors.language import phrases

# The words are known when the pause is judged; what was said of it before they came counts for nothing afterwards.
_UNJUDGED = (0.0, 0.0)


@dataclass(frozen=True)
class ListeningParams:
    """When listening sounds are made.

    Parameters:
        goes_on: Probability that the user goes on, by the judge of the end of the turn, from which a pause is one.
        after: Seconds of silence before the sound; listeners respond within half a second or not at all.
        speech: Seconds that the user must have spoken in this turn, and since the last sound.
        every: Seconds that lie between two sounds at least.
        room: Seconds of silence that must be left behind the sound before the turn would end.
        disturbs: So many sounds in a row over or right behind which the user's side was heard, and no more are made
            in this talk: they throw this user off, or come back as an echo that nobody cancels.
        behind: Seconds after a sound that count for that.
    """

    goes_on: float = 0.6
    after: float = 0.35
    speech: float = 2.5
    every: float = 8.0
    room: float = 0.3
    disturbs: int = 3
    behind: float = 0.15


class ListeningMachine:
    """Decides about listening sounds; makes none unless every rule holds.

    None is made while the user makes a sound, none outside the user's turn or while the bot is heard, one at most in a
    pause, and only what is at hand and is over before the turn can end.
    """

    def __init__(self, locale: str, params: ListeningParams | None = None):
        """Initialize before the first turn.

        Args:
            locale: Of the bot's voice; in a language without listening sounds none are made.
            params: When they are made.
        """
        self.sounds = phrases(locale).listening
        self._params = params or ListeningParams()
        self._secs: Mapping[str, float] = {}
        self._open = False
        self._bot_sounds = False
        self._sounding_since: float | None = None
        self._paused_since: float | None = None
        self._spoken = 0.0
        self._goes_on, self._ends_at = _UNJUDGED
        self._made_in_pause = False
        self._made_until: float | None = None
        self._last = ""
        self._disturbed = 0
        self._answered = True

    def ready(self, secs: Mapping[str, float]) -> None:
        """Tell which sounds are at hand.

        Args:
            secs: How long each lasts, by its text.
        """
        self._secs = secs

    @property
    def deadline(self) -> float | None:
        """When ``tick`` must be called, in seconds; None as long as nothing can be due."""
        if self._paused_since is None or not self._may_sound():
            return None
        rested = 0.0 if self._made_until is None else self._made_until + self._params.every
        at = max(self._paused_since + self._params.after, rested)
        text = self._choose()
        if text is None or at + self._secs[text] + self._params.room > self._ends_at:
            return None
        return at

    def turn_open(self, *, again: bool = False) -> None:
        """The user has a turn.

        Args:
            again: Whether it is the one before, which was not over.
        """
        if not self._open and not again:
            self._spoken = 0.0
        self._open, self._bot_sounds = True, False

    def turn_over(self) -> None:
        """The user's turn is over."""
        self._open = False
        self._goes_on, self._ends_at = _UNJUDGED

    def user_sounds(self, since: float) -> bool:
        """Sound comes from the user.

        Args:
            since: Clock reading at which it began, in seconds.

        Returns:
            Whether a listening sound that is being made must stop.
        """
        if self._sounding_since is not None:
            return False
        self._sounding_since, self._paused_since = since, None
        self._goes_on, self._ends_at = _UNJUDGED
        self._made_in_pause = False
        if self._made_until is None or self._answered:
            return False
        self._answered = True
        near = since <= self._made_until + self._params.behind
        self._disturbed = self._disturbed + 1 if near else 0
        return near

    def user_silent(self, since: float) -> None:
        """No sound comes from the user any more.

        Args:
            since: Clock reading at which it ended, in seconds.
        """
        if self._sounding_since is not None:
            self._spoken += max(0.0, since - self._sounding_since)
            self._sounding_since, self._paused_since = None, since

    def judged(self, goes_on: float, ends_at: float) -> None:
        """Take what the judge of the end of the turn makes of this pause; the newest verdict counts.

        Args:
            goes_on: Probability that the user goes on.
            ends_at: Clock reading at which the turn ends if nothing more is heard, in seconds.
        """
        self._goes_on, self._ends_at = goes_on, ends_at

    def bot_sounds(self, sounding: bool) -> None:
        """The bot's speech is heard or about to be, or is over.

        Args:
            sounding: Whether it is.
        """
        self._bot_sounds = sounding

    def tick(self, now: float) -> str | None:
        """Let time pass.

        Args:
            now: Clock reading in seconds.

        Returns:
            The sound to make now, or None.
        """
        due = self.deadline
        text = self._choose()
        if due is None or text is None or now < due or now + self._secs[text] + self._params.room > self._ends_at:
            return None
        self._made_in_pause, self._made_until, self._answered = True, now + self._secs[text], False
        self._last, self._spoken = text, 0.0
        return text

    def _may_sound(self) -> bool:
        return (
            self._open
            and not self._bot_sounds
            and not self._made_in_pause
            and self._goes_on >= self._params.goes_on
            and self._spoken >= self._params.speech
            and self._disturbed < self._params.disturbs
        )

    def _choose(self) -> str | None:
        """Of several another one each time; of one always that."""
        at_hand = [text for text in self.sounds if text in self._secs]
        return next((text for text in at_hand if text != self._last), at_hand[0] if at_hand else None)
