"""How long each stage of each turn took and what was used: a reducer of events without I/O."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from halfcascade.bot.money import Bill, Tariff
from halfcascade.bot.session.events import Event, EventType
from halfcascade.bot.session.packed import Packed

# The stages of a turn in the order in which they are passed. Each is reported in milliseconds since the last sound of
# the user's speech, so that "heard" is the latency a person notices: an opener or, without one, the answer.
STAGES = (
    "end_of_speech", "final", "turn_ended", "turn_sent", "first_text", "first_audio", "speaking_started", "heard",
    "answer_heard",
)  # fmt: skip


# Further back no turn changes any more.
_ALIVE = 16
# Never changed: what most turns share.
_NOTHING: Mapping[str, float] = {}


@dataclass(slots=True)
class Turn:
    """One user turn and the reply to it.

    Parameters:
        number: From 1.
        text: What was sent to the brain.
        at: When each stage was passed, in seconds on the recording's clock.
        interrupted: Whether the reply was cut short.
        opener: Whether something was said before the answer, because that was slow.
        tools: Names of the tools called.
        usage: What was used: tokens, characters, seconds.
        used_before: The part of it that was used for this turn when it was sent too early.
    """

    number: int
    text: str = ""
    at: Mapping[str, float] = field(default_factory=dict)
    interrupted: bool = False
    opener: bool = False
    tools: Sequence[str] = ()
    usage: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    used_before: Mapping[str, float] = field(default_factory=lambda: _NOTHING)

    def passed(self, stage: str, t: float) -> None:
        """Take note of a stage.

        Args:
            stage: Which.
            t: When it was passed, in seconds.
        """
        self.at = {**self.at, stage: t}

    def used(self, amounts: Mapping[str, float]) -> None:
        """Take note of what was used for it.

        Args:
            amounts: Added to what was used before.
        """
        usage = Counter[str](self.usage)
        usage.update(amounts)
        self.usage = usage

    def settle(self) -> None:
        """Nothing is expected to change any more: take less memory."""
        self.at, self.usage, self.used_before = Packed(self.at), Packed(self.usage), _NOTHING

    @property
    def latency_ms(self) -> int | None:
        """From the user's last sound to the bot's first, in milliseconds; None if there was no reply."""
        return self._since_speech("heard")

    def stages_ms(self) -> dict[str, int]:
        """When each stage was passed, in milliseconds since the user's last sound; negative if before it."""
        return {stage: ms for stage in STAGES if (ms := self._since_speech(stage)) is not None}

    def as_dict(self, tariff: Tariff) -> dict[str, Any]:
        """The turn as JSON.

        Args:
            tariff: What things cost.
        """
        return {
            "turn": self.number,
            "text": self.text,
            "latency_ms": self.latency_ms,
            "stages_ms": self.stages_ms(),
            "at": {stage: self.at[stage] for stage in STAGES if stage in self.at},
            "interrupted": self.interrupted,
            "opener": self.opener,
            "tools": list(self.tools),
            "usage": _rounded(self.usage),
            "money": tariff.bill(self.usage).as_dict(),
        }

    def _since_speech(self, stage: str) -> int | None:
        if stage not in self.at or "end_of_speech" not in self.at:
            return None
        return round(1000 * (self.at[stage] - self.at["end_of_speech"]))


@dataclass(slots=True)
class Interruption:
    """The user spoke over the bot: when the speech began, when the bot was told, when it fell silent."""

    speech_at: float
    interrupted: float
    silent: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The interruption as JSON."""
        silent_ms = None if self.silent is None else round(1000 * (self.silent - self.speech_at))
        return {"speech_at": self.speech_at, "interrupted": self.interrupted, "silent": self.silent, "ms": silent_ms}


class Metrics:
    """The measurements of a session as it grows, fed with events.

    Attributes:
        interruptions: When the user spoke over the bot.
        tariff: What things cost; to be set before the first event.
        spent_before: What the talks of this month cost before this one, in US dollars; None as long as nobody knows.
        emulated: Whether the servers were not Google's, so that nothing is billed.
    """

    def __init__(self) -> None:
        self.tariff = Tariff()
        self.emulated = False
        self.spent_before: float | None = None
        self.turns: list[Turn] = []
        self.errors = 0
        self.interruptions: list[Interruption] = []
        self._usage: Counter[str] = Counter()
        # Stages of the turn that is being spoken and has not been sent.
        self._pending: dict[str, float] = {}
        # A turn that was sent too early: what it cost belongs to the whole one.
        self._revoked: Turn | None = None
        # Answers asked for before it was certain that the turn was over, and how many of those were withdrawn.
        self._asked_early = self._asked_too_early = 0
        # What the withdrawn ones had used by then, as far as services tell.
        self._withdrawn: Counter[str] = Counter()
        self._speech_began = 0.0
        self._audible = False
        self._listening_sounds = 0
        # The next sound of the loudspeaker is a listener's, which answers nothing.
        self._only_listening = False
        self._duration = 0.0

    def apply(self, event: Event) -> bool:
        """Take an event.

        Args:
            event: Any event.

        Returns:
            Whether anything changed that a reader of ``as_dict`` would see.
        """
        self._duration = max(self._duration, event.t)
        handler = _HANDLERS.get(event.type)
        if handler is None:
            return False
        handler(self, event.t, event.fields)
        return True

    def bill(self) -> Bill:
        """What all of it has cost so far."""
        return self.tariff.bill(self._usage)

    def as_dict(
        self, turns: Sequence[Turn] | None = None, interruptions: Sequence[Interruption] | None = None
    ) -> dict[str, Any]:
        """All measurements as JSON.

        Args:
            turns: Only these, or None for all.
            interruptions: Only these, or None for all.
        """
        turns = self.turns if turns is None else turns
        interruptions = self.interruptions if interruptions is None else interruptions
        latencies = [turn.latency_ms for turn in turns if turn.latency_ms is not None]
        return {
            "duration_secs": round(self._duration, 3),
            "turns": [turn.as_dict(self.tariff) for turn in turns],
            "latency_ms": summary(latencies),
            "stages_ms": {
                stage: summary([ms for turn in turns if (ms := turn.stages_ms().get(stage)) is not None])
                for stage in STAGES[1:]
            },
            "asked_early": {
                "asked": self._asked_early,
                "withdrawn": self._asked_too_early,
                "usage_withdrawn": _rounded(self._withdrawn),
                "usd_withdrawn": round(self.tariff.bill(self._withdrawn).usd, 6),
            },
            "interruptions": [interruption.as_dict() for interruption in interruptions],
            "listening_sounds": self._listening_sounds,
            "usage": _rounded(self._usage),
            "money": {
                "currency": "USD",
                "prices_of": self.tariff.as_of,
                "emulated": self.emulated,
                "month_usd": self._month_usd(),
                **self.bill().as_dict(),
            },
            "errors": self.errors,
        }

    def _month_usd(self) -> float | None:
        if self.spent_before is None:
            return None
        return round(self.spent_before + (0.0 if self.emulated else self.bill().usd), 6)

    def _on_backend(self, t: float, fields: dict[str, Any]) -> None:
        self.emulated = fields["backend"] != "google"

    def _on_user_started(self, t: float, fields: dict[str, Any]) -> None:
        self._speech_began = fields.get("speech_at", t)

    def _on_user_stopped(self, t: float, fields: dict[str, Any]) -> None:
        self._mark_speech("end_of_speech", fields.get("speech_at", t))

    def _on_final(self, t: float, fields: dict[str, Any]) -> None:
        self._mark_speech("final", t)

    def _on_turn_ended(self, t: float, fields: dict[str, Any]) -> None:
        self._mark_speech("turn_ended", t)

    def _on_typed(self, t: float, fields: dict[str, Any]) -> None:
        # What is typed is over, understood and wanted at once.
        self._pending = {"end_of_speech": t}

    def _on_turn_sent(self, t: float, fields: dict[str, Any]) -> None:
        if fields.get("attempt", 1) > 1 and self.turns:
            return
        turn = Turn(len(self.turns) + 1, fields["text"], {**self._pending, "turn_sent": t})
        if self._revoked:
            turn.usage = turn.used_before = self._revoked.usage
            self._revoked = None
        self.turns.append(turn)
        if len(self.turns) > _ALIVE:
            self.turns[-1 - _ALIVE].settle()
        self._pending = {}

    def _on_turn_reopened(self, t: float, fields: dict[str, Any]) -> None:
        if self.turns:
            self._revoked = self.turns.pop()

    def _on_asked_early(self, t: float, fields: dict[str, Any]) -> None:
        self._asked_early += 1

    def _on_asked_too_early(self, t: float, fields: dict[str, Any]) -> None:
        self._asked_too_early += 1
        # The question may have been withdrawn before it was sent.
        if self.turns and "turn_ended" not in self.turns[-1].at and "heard" not in self.turns[-1].at:
            self._revoked = self.turns.pop()
            self._withdrawn.update(Counter(self._revoked.usage) - Counter(self._revoked.used_before))

    def _on_reply_text(self, t: float, fields: dict[str, Any]) -> None:
        if fields["text"].strip():
            self._mark_reply("first_text", t)

    def _on_first_audio(self, t: float, fields: dict[str, Any]) -> None:
        self._mark_reply("first_audio", t)

    def _on_listening_sound(self, t: float, fields: dict[str, Any]) -> None:
        self._listening_sounds += 1
        self._only_listening = not self._audible

    def _on_speaking_started(self, t: float, fields: dict[str, Any]) -> None:
        self._only_listening = False
        self._mark_reply("speaking_started", t)
        if self._audible:
            # The speech before went over into this one without a pause.
            self._mark_reply("heard", t)

    def _on_sound_began(self, t: float, fields: dict[str, Any]) -> None:
        self._audible = True
        if not self._only_listening and self.turns and t >= self.turns[-1].at["turn_sent"]:
            self._mark_reply("heard", t)

    def _on_heard(self, t: float, fields: dict[str, Any]) -> None:
        turn = self.turns[-1] if self.turns else None
        if turn is None or "answer_heard" in turn.at:
            return
        if fields.get("opener"):
            turn.opener = True
        else:
            # Without an opener the first sound is the answer's; word times are estimates.
            turn.passed("answer_heard", t if turn.opener else turn.at.get("heard", t))

    def _on_sound_ended(self, t: float, fields: dict[str, Any]) -> None:
        self._audible = self._only_listening = False
        if self.interruptions and self.interruptions[-1].silent is None:
            self.interruptions[-1].silent = t

    def _on_interrupted(self, t: float, fields: dict[str, Any]) -> None:
        if self.turns and not self._revoked:
            self.turns[-1].interrupted = True
        if self._audible:
            self.interruptions.append(Interruption(self._speech_began, t))

    def _on_tool_call(self, t: float, fields: dict[str, Any]) -> None:
        if self.turns:
            self.turns[-1].tools = (*self.turns[-1].tools, fields["name"])

    def _on_usage(self, t: float, fields: dict[str, Any]) -> None:
        used: dict[str, float] = {
            # One name for the whole talk, not one for each turn.
            intern(f"{fields['kind']}_{name}"): value
            for name, value in fields.items()
            if isinstance(value, int | float)
        }
        self._usage.update(used)
        if self.turns:
            self.turns[-1].used(used)

    def _on_error(self, t: float, fields: dict[str, Any]) -> None:
        self.errors += 1

    def _mark_speech(self, stage: str, t: float) -> None:
        # A turn may be sent while it is still being spoken (speculation); until it is answered, later is truer.
        turn = self.turns[-1] if self.turns else None
        if turn and "turn_ended" not in turn.at and "first_audio" not in turn.at and not self._pending:
            turn.passed(stage, t)
        else:
            self._pending[stage] = t

    def _mark_reply(self, stage: str, t: float) -> None:
        if self.turns and stage not in self.turns[-1].at:
            self.turns[-1].passed(stage, t)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Summarize measurements.

    Args:
        values: Any number of them.

    Returns:
        ``n``, and if there are any ``median``, ``p90`` and ``max``.
    """
    if not values:
        return {"n": 0}
    ordered = sorted(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return {
        "n": len(ordered),
        "median": low if low == high else (low + high) / 2,
        "p90": ordered[min(len(ordered) - 1, round(0.9 * (len(ordered) - 1)))],
        "max": ordered[-1],
    }


def _rounded(usage: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in sorted(usage.items())}


_HANDLERS: Mapping[EventType, Callable[[Metrics, float, dict[str, Any]], None]] = {
    EventType.BACKEND: Metrics._on_backend,
    EventType.USER_STARTED: Metrics._on_user_started,
    EventType.USER_STOPPED: Metrics._on_user_stopped,
    EventType.FINAL: Metrics._on_final,
    EventType.TURN_ENDED: Metrics._on_turn_ended,
    EventType.TYPED: Metrics._on_typed,
    EventType.TURN_SENT: Metrics._on_turn_sent,
    EventType.TURN_REOPENED: Metrics._on_turn_reopened,
    EventType.ASKED_EARLY: Metrics._on_asked_early,
    EventType.ASKED_TOO_EARLY: Metrics._on_asked_too_early,
    EventType.REPLY_TEXT: Metrics._on_reply_text,
    EventType.FIRST_AUDIO: Metrics._on_first_audio,
    EventType.LISTENING_SOUND: Metrics._on_listening_sound,
    EventType.SPEAKING_STARTED: Metrics._on_speaking_started,
    EventType.HEARD: Metrics._on_heard,
    EventType.SOUND_BEGAN: Metrics._on_sound_began,
    EventType.SOUND_ENDED: Metrics._on_sound_ended,
    EventType.INTERRUPTED: Metrics._on_interrupted,
    EventType.TOOL_CALL: Metrics._on_tool_call,
    EventType.USAGE: Metrics._on_usage,
    EventType.ERROR: Metrics._on_error,
}
