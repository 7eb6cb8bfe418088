"""When a conversation with a recorded user is over: a state machine fed events and clock readings, without I/O."""

from halfcascade.bot.session.events import Event, EventType

# The bot says nothing more for this long once nothing is under way.
SETTLE_SECS = 1.5
# Nothing moves for this long although something is under way: the bot will not answer any more.
TIMEOUT_SECS = 25.0
# Whoever speaks again before the answer began, but later than this, was kept waiting.
PATIENCE_SECS = 5.0
# Words that came when no turn was open for them, or in one that had been sent: a recognizer may add one then.
_LEFT_OVER = "words not sent"
# A turn that ended with words and has not reached the brain.
_UNSENT = "turn not sent"


class EndOfConversation:
    """Tells when the user audio is over and the bot has finished.

    Parameters:
        spoken: Whether the user spoke.
        understood: Whether any words came of it.
        lost_secs: How much of their speech was given up.
        passed_over: Turns that got no answer in a time in which anybody would have: the user spoke again.

    Args:
        settle_secs: How long nothing may be under way before the conversation is over.
        timeout_secs: How long something may be under way without anything happening.
    """

    def __init__(self, settle_secs: float = SETTLE_SECS, timeout_secs: float = TIMEOUT_SECS):
        self._settle = settle_secs
        self._timeout = timeout_secs
        self._audio_over = False
        self._under_way: set[str] = set()
        self._last_change = 0.0
        self.understood = False
        self.spoken = False
        self.lost_secs = 0.0
        self.passed_over = 0
        self._sent_at: float | None = None
        self._sent_in_turn = False

    def apply(self, event: Event, now: float) -> None:
        """Take an event.

        Args:
            event: Any event.
            now: Reading of a monotonic clock, in seconds.
        """
        if event.type == EventType.SPEECH_LOST:
            self.lost_secs += event.fields["secs"]
        self._follow_turns(event, now)
        begun, ended = self._changes(event)
        if not (begun or ended or event.type in _MOVES):
            return
        self._audio_over = self._audio_over or event.type == EventType.USER_AUDIO_FINISHED
        self.spoken = self.spoken or event.type == EventType.USER_STARTED
        self.understood = self.understood or _LEFT_OVER in begun
        self._under_way -= ended
        self._under_way |= begun
        self._last_change = now

    def over(self, now: float) -> bool:
        """Whether nothing more will come.

        Args:
            now: Reading of the same clock, in seconds.
        """
        quiet = now - self._last_change
        return self._audio_over and quiet >= (self._timeout if self._under_way else self._settle)

    @property
    def unanswered(self) -> list[str]:
        """What the bot has begun and not ended, or not begun.

        Words that belong to no turn are no such thing: a recognizer may add one after the turn was answered. Nor is a
        bot that speaks: who speaks has answered, and the end of it may go untold when a block of sound was in flight.
        """
        passed_over = [f"{self.passed_over} turns passed over"] if self.passed_over else []
        return [*passed_over, *sorted(self._under_way - {_LEFT_OVER, "speaking"})]

    def _follow_turns(self, event: Event, now: float) -> None:
        """Know of each turn whether it was sent, and whether the next one was sent before it was answered."""
        if event.type in (EventType.TURN_STARTED, EventType.TURN_REOPENED, EventType.ASKED_TOO_EARLY):
            self._sent_in_turn = False
        if event.type in (EventType.TURN_REOPENED, EventType.ASKED_TOO_EARLY, EventType.REPLY_STARTED):
            self._sent_at = None
        elif event.type == EventType.TURN_SENT and not event.fields.get("prompt"):
            self._sent_in_turn = "turn" in self._under_way
            if event.fields.get("attempt", 1) == 1:
                self.passed_over += self._sent_at is not None and now - self._sent_at >= PATIENCE_SECS
                self._sent_at = now

    def _changes(self, event: Event) -> tuple[set[str], set[str]]:
        """What is under way from this event on, and what no longer is."""
        if event.type.startswith("tool_"):
            tool = f"tool {event.fields['id']}"
            if event.type == EventType.TOOL_CALL:
                return {tool}, set()
            return {"thinking"} if event.type == EventType.TOOL_RESULT else set(), {tool}
        begun = _BEGINS.get(event.type, set())
        if event.type == EventType.TURN_ENDED and _LEFT_OVER in self._under_way and not self._sent_in_turn:
            begun = {_UNSENT}
        nothing_said = "text" in event.fields and not event.fields["text"].strip()
        if nothing_said or (begun == {"voice"} and "speaking" in self._under_way):
            begun = set()
        return begun, _ENDS.get(event.type, set())


_BEGINS = {
    EventType.USER_STARTED: {"user speaks"},
    EventType.TURN_STARTED: {"turn"},
    EventType.FINAL: {_LEFT_OVER},
    EventType.TURN_SENT: {"thinking"},
    EventType.REPLY_STARTED: {"reply"},
    EventType.REPLY_TEXT: {"voice"},
    EventType.SPEAKING_STARTED: {"speaking"},
}
_ENDS = {
    EventType.USER_STOPPED: {"user speaks"},
    EventType.TURN_ENDED: {"turn"},
    EventType.BACKCHANNEL: {_LEFT_OVER, _UNSENT},
    EventType.TURN_SENT: {_LEFT_OVER, _UNSENT},
    EventType.REPLY_STARTED: {"thinking"},
    EventType.REPLY_ENDED: {"reply"},
    EventType.INTERRUPTED: {"thinking", "reply", "voice"},
    EventType.TURN_STARTED: {_UNSENT},
    EventType.TURN_REOPENED: {"thinking", "reply", "voice"},
    EventType.SPEAKING_STARTED: {"voice"},
    EventType.SPEAKING_STOPPED: {"speaking"},
}
_MOVES = {EventType.SPEECH_LOST, EventType.OUTAGE, EventType.HEARD, EventType.INTERIM, EventType.USER_AUDIO_FINISHED}
