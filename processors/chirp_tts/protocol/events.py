"""What the voice's machine is told, and what it asks of its shell."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from halfcascade.processors.chirp_tts.protocol.segment import Segment
    from halfcascade.processors.language import SpokenWord


@dataclass(frozen=True)
class SpeechParams:
    """Times of the voice, in seconds.

    Parameters:
        horizon_secs: How far ahead of what is heard segments are synthesized: enough that no gap opens, little enough
            that not much is thrown away when the user interrupts.
        concurrent: Segments that are synthesized at a time; two hide the first-byte latency of one behind the other.
        first_audio_secs: How long a call may give no audio before another one is made beside it. First audio is
            measured at 280 to 350 ms from far away (facts/tts#first-audio). A server that has been quick is not given
            as long.
        quick_first_audio_secs: The shortest such time.
        stall_secs: How long a call may pause in its middle. Audio comes several times faster than it plays.
        budget_secs: How long a segment may be tried until it is skipped.
        down_budget_secs: The same while the voice is known to be down, and nothing has worked for the whole budget.
        tell_secs: How long the user may wait for a segment in silence until that is an outage.
        first_backoff_secs: First pause before a failed call is made again; doubles each time.
        longest_backoff_secs: Longest such pause.
        beside: Calls that are made for one segment at a time.
        attempts: How often the rest of a segment that breaks off is tried.
        refusals_believed: How often in a row a service that has worked must refuse before it is believed.
        one_stream: Whether the pieces of a reply go into one call, as long as that is open, or into a call each.
        call_bytes: Text in one such call; words are placed in its audio as a whole, which takes the longer the more.
        idle_secs: How long such a call may be without text, below the server's 5 s (facts/tts#limits).
        lull_secs: Silence of such a call after which all may have been spoken, or the end waits for more text.
        reserve_secs: What is left to be heard when such a lull ends the call, so that a held-back end comes in time.
    """

    horizon_secs: float = 6.0
    concurrent: int = 2
    first_audio_secs: float = 2.0
    quick_first_audio_secs: float = 1.0
    stall_secs: float = 1.5
    budget_secs: float = 20.0
    down_budget_secs: float = 4.0
    tell_secs: float = 2.5
    first_backoff_secs: float = 0.1
    longest_backoff_secs: float = 0.5
    beside: int = 3
    attempts: int = 4
    refusals_believed: int = 5
    one_stream: bool = False
    call_bytes: int = 300
    idle_secs: float = 4.0
    lull_secs: float = 0.8
    reserve_secs: float = 0.8


@dataclass(frozen=True)
class Failure:
    """Why a call gave no audio, or no more.

    Parameters:
        reason: One line for a person.
        retry: Whether another call may succeed.
        wait_secs: How long the server is to be left alone.
        about_text: Whether only this text is refused.
        cause: What the shell needs to report it.
    """

    reason: str
    retry: bool = False
    wait_secs: float = 0.0
    about_text: bool = False
    cause: Any = None


@dataclass(frozen=True)
class Fetch:
    """Synthesize a text.

    Parameters:
        call: Number of the call, for its audio.
        text: What to say.
        phrase: Whether it may be spoken often.
        again: Whether it was asked for before.
        more: Whether further text may follow on the same call, until it is closed.
    """

    call: int
    text: str
    phrase: bool
    again: bool
    more: bool = False


@dataclass(frozen=True)
class Feed:
    """More text for a call that is open for it.

    Parameters:
        call: Its number.
        text: What to say next.
    """

    call: int
    text: str


@dataclass(frozen=True)
class Close:
    """No more text for a call that is open for it.

    Parameters:
        call: Its number.
    """

    call: int


@dataclass(frozen=True)
class Cancel:
    """A call is of no use any more.

    Parameters:
        call: Its number.
    """

    call: int


@dataclass(frozen=True)
class RenewChannel:
    """The connection is suspect: calls made from now on need another one."""


@dataclass(frozen=True)
class Append:
    """Hand audio to the loudspeaker, after what was handed before.

    Parameters:
        pcm: 16-bit mono.
    """

    pcm: bytes


@dataclass(frozen=True)
class Heard:
    """A word is being heard.

    Parameters:
        segment: Of which segment.
        word: The word.
        at: Clock reading at which it is heard.
    """

    segment: "Segment"
    word: "SpokenWord"
    at: float


@dataclass(frozen=True)
class Skipped:
    """A segment, or the rest of it, will not be heard.

    Parameters:
        text: What is not heard.
        frames: What announced it.
        failure: Why.
    """

    text: str
    frames: tuple[Any, ...]
    failure: Failure


@dataclass(frozen=True)
class OutageBegan:
    """The user waits for the voice, and it gives no sound.

    Parameters:
        reason: One line for a person.
    """

    reason: str


@dataclass(frozen=True)
class OutageOver:
    """The voice speaks again."""


@dataclass(frozen=True)
class KeepAlive:
    """The utterance waits, but is not over."""


@dataclass(frozen=True)
class Done:
    """All words were heard; the last one may still sound."""


Action = (
    Fetch
    | Feed
    | Close
    | Cancel
    | RenewChannel
    | Append
    | Heard
    | Skipped
    | OutageBegan
    | OutageOver
    | KeepAlive
    | Done
)
