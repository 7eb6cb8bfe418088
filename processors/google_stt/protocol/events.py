"""What the ears' stream machine is told, and what it asks of its shell."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StreamParams:
    """When streams begin and end.

    Parameters:
        preroll_secs: Audio kept from before speech was noticed and sent first.
        bridge_secs: A pause up to this long is sent whole with what follows: a syllable in it may have been too faint
            for voice activity detection. A turn waits no longer for more (``EndOfTurnParams.longest_wait_secs`` after
            an end of speech that is noticed late).
        continuous: Send silence too, rather than only speech.
        max_stream_secs: Age at which a stream is replaced in the next silence. Google ends streams at 5 minutes
            (facts/stt#limits).
        rollover_grace_secs: How much older it may grow until it is replaced in mid-speech.
        overlap_secs: How far back the stream that replaces another in mid-speech may begin; the quietest moment in
            that time is taken.
        reopen_secs: A pause up to this long may lie inside a word ("stop" has 0.08 s of silence in it, and a faint word
            is longer). If speech goes on so soon, the half-closed stream is given up and its audio sent again with what
            follows.
        longest_reopened_secs: Audio up to this long is sent again; after more, the next stream overlaps a little.
        flush_timeout_secs: How long a half-closed stream may take to end before it counts as dropped. The slowest
            figure known is 1.57 s (facts/stt#latency). A server that has been quick is not given as long at first.
        quick_flush_secs: The shortest such time.
        doubt_secs: The shortest time after which another stream is tried beside a half-closed one that was silent.
        silent_secs: Speech that may go out on a stream without any answer before another stream is tried.
        tell_secs: How long after the end of speech its words may fail to come before that is an outage.
        rival_secs: How long a stream on a doubtful connection is waited for before another one is tried beside it.
        rivals: How many streams may try the oldest words that are waited for side by side.
        give_up_secs: How long after the end of a segment its words are still worth a retry.
        refusals_believed: How often in a row a service that has worked must refuse before it is believed.
    """

    preroll_secs: float = 0.5
    bridge_secs: float = 2.0
    continuous: bool = False
    max_stream_secs: float = 240.0
    rollover_grace_secs: float = 45.0
    overlap_secs: float = 1.5
    reopen_secs: float = 1.0
    longest_reopened_secs: float = 8.0
    flush_timeout_secs: float = 2.5
    quick_flush_secs: float = 1.0
    doubt_secs: float = 0.6
    silent_secs: float = 5.0
    tell_secs: float = 3.0
    rival_secs: float = 0.5
    rivals: int = 3
    give_up_secs: float = 25.0
    refusals_believed: int = 6


@dataclass(frozen=True)
class Result:
    """One result of a response.

    Parameters:
        text: Transcript of the portion.
        is_final: Whether the portion is closed.
        end: Where the portion ends, in seconds of audio since the stream began; 0.0 if the server does not say.
        language: Language code the server detected, or "".
    """

    text: str
    is_final: bool
    end: float = 0.0
    language: str = ""


@dataclass(frozen=True)
class OpenStream:
    """A stream must be opened; its audio is fetched with ``take``."""

    stream: int


@dataclass(frozen=True)
class AbortStream:
    """A stream is of no use any more and must be cancelled."""

    stream: int


@dataclass(frozen=True)
class InterimText:
    """All words heard since the last ``FinalText``, not yet certain."""

    text: str
    language: str


@dataclass(frozen=True)
class FinalText:
    """Certain words.

    Parameters:
        text: The words.
        language: Their language code, or "".
        finalized: Whether nothing said so far is still to come.
    """

    text: str
    language: str
    finalized: bool


@dataclass(frozen=True)
class SpeechCovered:
    """Everything said so far has been delivered, and the newest speech brought no words."""


@dataclass(frozen=True)
class LikelyComplete:
    """Silence has begun, and uncertain words already cover all speech.

    Parameters:
        text: All words since the last ``FinalText``.
        language: Their language code, or "".
    """

    text: str
    language: str


@dataclass(frozen=True)
class RenewChannel:
    """The connection under the streams is suspect: streams that are opened from now on need another one."""


@dataclass(frozen=True)
class OutageBegan:
    """The user has waited for their words to be understood, and they do not come. Told once for each wait."""


@dataclass(frozen=True)
class OutageOver:
    """The recognizer answers again."""


@dataclass(frozen=True)
class Believed:
    """A refusal is final: asking again gives the same answer."""


@dataclass(frozen=True)
class WordsLost:
    """Audio had to be given up; words in it are lost.

    Parameters:
        secs: How much audio.
    """

    secs: float


Event = (
    OpenStream
    | AbortStream
    | RenewChannel
    | InterimText
    | FinalText
    | SpeechCovered
    | LikelyComplete
    | OutageBegan
    | OutageOver
    | Believed
    | WordsLost
)
