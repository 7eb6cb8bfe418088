"""What can be made to go wrong on Live connections, as data.

Turns are counted over the whole server from 1: every time the model is asked to answer something a user said, on
whatever connection. So a turn that a client sends again after a drop has a new number, and a fault for turn 2 does not
hit it again::

    LiveFaults(
        go_aways=[GoAway(turn=2, time_left=0.0)],
        drops=[Drop(turn=3, phase="deltas", deltas=2)],
        turns=[TurnFault(turn=4, silent=True), TurnFault(turn=5, transcript_lag=0.4)],
    )
"""

import random
from dataclasses import dataclass, field, replace
from typing import Literal

from halfcascade.emulator.live.errors import Refusal

DropPhase = Literal[
    "answer",  # before anything of the answer was sent
    "deltas",  # after so many pieces of its text
    "tool_call",  # after a toolCall
    "generation_complete",  # after generationComplete
    "turn_complete",  # instead of turnComplete
    "after",  # after turnComplete
]
Framing = Literal["plain", "bundle", "split", "random"]


@dataclass(frozen=True)
class GoAway:
    """The server announces the end of a connection.

    Parameters:
        at: Seconds after setupComplete; None = not by time.
        turn: When this turn begins; None = not by turn. With neither, right after setupComplete.
        time_left: Seconds that the message promises.
        close_after: Seconds after which the connection is really closed; None = as promised.
        mute: Whether nothing more is sent in between (facts/live#lifetime: the server may fall silent).
        times: How many connections it happens to; -1 = every one.
    """

    at: float | None = None
    turn: int | None = None
    time_left: float = 50.0
    close_after: float | None = None
    mute: bool = False
    times: int = 1


@dataclass(frozen=True)
class Drop:
    """A connection breaks in the middle of a turn.

    Parameters:
        turn: Which turn.
        phase: Where in it.
        deltas: For phase ``deltas``: after how many pieces of text.
        code: Close code; None = the TCP connection breaks and the client sees 1006.
        reason: Close reason.
    """

    turn: int
    phase: DropPhase
    deltas: int = 1
    code: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class TurnFault:
    """One turn goes otherwise than it should. If several are told of a turn, the last one holds.

    Parameters:
        turn: Which; None = every turn, also those that answer function results.
        silent: No answer at all (facts/live#latency: about 5 % on 3.1).
        transcript_lag: Seconds that each piece's transcription comes after its audio, negative = before it
            (facts/live#transcripts). None = the profile's order.
        after_turn_complete: The last transcript piece comes only after turnComplete (facts/live#transcripts).
        no_transcript: Audio only (facts/live#transcripts: very short replies).
        no_audio: Transcription only (facts/live#transcripts: seen on 3.1).
        phantom: Transcript without audio that follows a tool call (facts/live#transcripts), "" = none.
        thought: Whether a thought comes first, on models that send thoughts; None = before what a user said is answered
            in words (facts/live#recorded: sometimes before a call, sometimes not at all).
        stops_after: After so many pieces of text nothing more comes, not even an end, and no error tells.
        turn_complete_delay: Seconds that turnComplete comes later than it should.
        refusal: The client's message is answered by this close (facts/live#closes: 1007 in mid-session).
    """

    turn: int | None = None
    silent: bool = False
    transcript_lag: float | None = None
    after_turn_complete: bool = False
    no_transcript: bool = False
    no_audio: bool = False
    phantom: str = ""
    thought: bool | None = None
    stops_after: int | None = None
    turn_complete_delay: float = 0.0
    refusal: Refusal | None = None


@dataclass
class LiveFaults:
    """All faults of a server's Live connections. May be changed while it runs.

    Parameters:
        go_aways: Announced ends.
        drops: Broken connections; each happens once.
        turns: Turns that go wrong.
        refuse_setups: How many setups are refused.
        refuse_setups_with: How.
        refuse_handles: How many resumptions are refused although the handle is good.
        refuse_handles_with: How.
        forget_closed_after: Seconds for which the server believes that a closed connection is still open, so that
            resuming its session is refused with 1011 (facts/live#lifetime).
        keep_instruction: A resumed session keeps its first system instruction (facts/live#lifetime).
        pong_delay: Seconds before a ping is answered (facts/live#keepalive: 8 to 30 s were measured).
        framing: How serverContent fields are packed: one field a message, as many as are due in one, pieces cut in two
            with empty frames between, or any of these at random.
        seed: For ``random`` and ``split``.
        interrupted_after_turn_complete: An interrupted turn sends turnComplete before interrupted.
        silent_share: Share of all turns that get no answer, 0.0 to 1.0; which ones, the seed decides.
        silent_results: Function results get no answer until the user says something more.
        unasked_update: Function results are followed by a sessionResumptionUpdate that nobody asked for
            (facts/live#recorded: seen once on 3.1).
        freeze_after_interruption: Once interrupted, a connection never answers again.
    """

    go_aways: list[GoAway] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    turns: list[TurnFault] = field(default_factory=list)
    refuse_setups: int = 0
    refuse_setups_with: Refusal = field(default_factory=lambda: Refusal(1011, "Internal error encountered."))
    refuse_handles: int = 0
    refuse_handles_with: Refusal = field(default_factory=lambda: Refusal(1007, "Invalid session handle"))
    forget_closed_after: float = 0.0
    keep_instruction: bool = False
    pong_delay: float = 0.0
    framing: Framing = "plain"
    seed: int = 0
    interrupted_after_turn_complete: bool = False
    silent_share: float = 0.0
    silent_results: bool = False
    unasked_update: bool = False
    freeze_after_interruption: bool = False


@dataclass
class TurnPlan:
    """What goes wrong in one turn.

    Parameters:
        number: The turn's number.
        fault: What goes otherwise.
        drop: Where the connection breaks.
        go_away: What is announced when it begins.
    """

    number: int
    fault: TurnFault = field(default_factory=TurnFault)
    drop: Drop | None = None
    go_away: GoAway | None = None


class FaultScript:
    """Walks through the faults as connections and turns come, for all connections of a server."""

    def __init__(self, faults: LiveFaults | None = None) -> None:
        """Begin at the first turn.

        Args:
            faults: What shall go wrong; None = nothing.
        """
        self.faults = faults or LiveFaults()
        self.random = random.Random(self.faults.seed)  # noqa: S311 - decides how frames are cut, guards nothing
        self.turns = 0

    def reset(self, faults: LiveFaults) -> None:
        """Begin again at the first turn, with other faults."""
        self.faults = faults
        self.random = random.Random(faults.seed)  # noqa: S311 - see above
        self.turns = 0

    def refuse_setup(self, *, resuming: bool) -> Refusal | None:
        """Tell whether the setup that came is refused, and count it.

        Args:
            resuming: Whether it names a handle.
        """
        faults = self.faults
        if faults.refuse_setups > 0:
            faults.refuse_setups -= 1
            return faults.refuse_setups_with
        if resuming and faults.refuse_handles > 0:
            faults.refuse_handles -= 1
            return faults.refuse_handles_with
        return None

    def begin_connection(self) -> list[GoAway]:
        """Take the goAways that are due by time on a new connection."""
        due = [go_away for go_away in self.faults.go_aways if go_away.turn is None]
        for go_away in due:
            self.faults.go_aways.remove(go_away)
            if go_away.times != 1:
                self.faults.go_aways.append(replace(go_away, times=max(-1, go_away.times - 1)))
        return due

    def begin_other_turn(self) -> TurnPlan:
        """Take what goes wrong in a turn that answers no user: it does not count."""
        return TurnPlan(0, self._fault(0))

    def begin_turn(self) -> TurnPlan:
        """Count a turn and take what goes wrong in it."""
        self.turns += 1
        plan = TurnPlan(self.turns, self._fault(self.turns))
        if self.faults.silent_share and self.random.random() < self.faults.silent_share:
            plan.fault = replace(plan.fault, silent=True)
        for drop in [drop for drop in self.faults.drops if drop.turn == self.turns]:
            self.faults.drops.remove(drop)
            plan.drop = drop
        for go_away in self.faults.go_aways:
            if go_away.turn == self.turns:
                plan.go_away = go_away
        return plan

    def _fault(self, turn: int) -> TurnFault:
        fitting = [fault for fault in self.faults.turns if fault.turn in (None, turn)]
        return fitting[-1] if fitting else TurnFault()
