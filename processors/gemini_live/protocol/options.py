"""How patient the session is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SessionOptions:
    """Times of the session, in seconds.

    Parameters:
        renew_after_secs: Age of a connection at which a hand-over is due by our own clock; the server's limit is
            about 10 minutes (facts/live#lifetime).
        answer_timeout_secs: How long a turn may go without a sign of an answer; None takes the model's row.
        filler_secs: How long the user may wait for the first sign of an answer without a word from us.
        filler_grace_secs: How much longer they may wait if their turn could be sent only at the end of that time.
        stall_secs: Silence in mid-answer after which its text is taken to be over.
        open_secs: How long connecting and setup may take at the first try; 0.1 to 1.1 s are usual
            (facts/live#latency).
        mute_secs: How long a connection whose pongs were prompt may leave a ping, asked when it is needed, without any
            sign of life.
        fence_secs: How long a new turn waits for the server to confirm that the old answer was cancelled. The
            confirmation took 0.1 to 0.5 s (facts/live#interruption), while the user was still speaking.
        backoff_secs: First pause before trying again what the server refused; doubles each time.
        max_backoff_secs: Longest such pause, unless the server names a longer one.
        unreached_secs: Pause before trying again where no server was reached, which costs none anything.
        refusals_believed: How often in a row a server that has served must refuse for good before it is believed.
        offline_secs: How long a turn may wait for a connection before it is given up aloud.
        max_attempts: How often one turn is sent at most when connections break under it.
        goaway_margin_secs: A hand-over that found no quiet moment happens this long before the announced end.
        turn_grace_secs: How long after the user stopped speaking no hand-over begins, because their turn is about to
            come.
        withdrawal_secs: How long a withdrawn turn waits for the real one before the session is rolled back.
    """

    renew_after_secs: float = 9 * 60.0
    answer_timeout_secs: float | None = None
    filler_secs: float = 3.0
    filler_grace_secs: float = 0.4
    stall_secs: float = 10.0
    open_secs: float = 2.5
    mute_secs: float = 1.5
    fence_secs: float = 0.6
    backoff_secs: float = 0.2
    max_backoff_secs: float = 2.0
    unreached_secs: float = 0.3
    refusals_believed: int = 5
    offline_secs: float = 25.0
    max_attempts: int = 4
    goaway_margin_secs: float = 3.0
    withdrawal_secs: float = 0.1
    turn_grace_secs: float = 2.0
