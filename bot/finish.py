"""When a conversation with a recorded user is over: a state machine fed events and clock readings, without I/O."""

from halfcascade.bot.session.events import Event, EventType

# The bot says nothing more for this long once nothing is under way.
SETTLE_SECS = 1.5
# Nothing moves for this long although something is under way: the bot will not answer any more.
TIMEOUT_SECS = 25.0


class EndOfConversation:
    """Tells when the user audio is over and the bot has finished.

    Parameters:
        spoken: Whether the user spoke.
        understood: Whether any words came of it.
        lost_secs: How much of their speech was given up.

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

    def apply(self, event: Event, now: float) -> None:
        """Take an event.

        Args:
            event: Any event.
            now: Reading of a monotonic clock, in seconds.
        """
        if event.type == EventType.SPEECH_LOST:
            self.lost_secs += event.fields["secs"]
        begun, ended = self._changes(event)
        if not (begun or ended or event.type in _MOVES):
            return
        self._audio_over = self._audio_over or event.type == EventType.USER_AUDIO_FINISHED
        self.spoken = self.spoken or event.type == EventType.USER_STARTED
        self.understood = self.understood or "words not sent" in begun
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

        Words that took no turn are no such thing: a recognizer may add one after the turn was answered. Nor is a bot
        that speaks: who speaks has answered, and the end of it may go untold when a block of sound was in flight.
        """
        return sorted(self._under_way - {"words not sent", "speaking"})

    def _changes(self, event: Event) -> tuple[set[str], set[str]]:
        """What is under way from this event on, and what no longer is."""
        if event.type.startswith("tool_"):
            tool = f"tool {event.fields['id']}"
            if event.type == EventType.TOOL_CALL:
                return {tool}, set()
            return {"thinking"} if event.type == EventType.TOOL_RESULT else set(), {tool}
        begun = _BEGINS.get(event.type, set())
        nothing_said = "text" in event.fields and not event.fields["text"].strip()
        if nothing_said or (begun == {"voice"} and "speaking" in self._under_way):
            begun = set()
        return begun, _ENDS.get(event.type, set())


_BEGINS = {
    EventType.USER_STARTED: {"user speaks"},
    EventType.TURN_STARTED: {"turn"},
    EventType.FINAL: {"words not sent"},
    EventType.TURN_SENT: {"thinking"},
    EventType.REPLY_STARTED: {"reply"},
    EventType.REPLY_TEXT: {"voice"},
    EventType.SPEAKING_STARTED: {"speaking"},
}
_ENDS = {
    EventType.USER_STOPPED: {"user speaks"},
    EventType.TURN_ENDED: {"turn"},
    EventType.BACKCHANNEL: {"words not sent"},
    EventType.TURN_SENT: {"words not sent"},
    EventType.REPLY_STARTED: {"thinking"},
    EventType.REPLY_ENDED: {"reply"},
    EventType.INTERRUPTED: {"thinking", "reply", "voice"},
    EventType.TURN_REOPENED: {"thinking", "reply", "voice"},
    EventType.SPEAKING_STARTED: {"voice"},
    EventType.SPEAKING_STOPPED: {"speaking"},
}
_MOVES = {EventType.SPEECH_LOST, EventType.OUTAGE, EventType.HEARD, EventType.INTERIM, EventType.USER_AUDIO_FINISHED}
