"""Frames that this project adds to Pipecat's."""

from dataclasses import dataclass, field
from enum import StrEnum

from pipecat.frames.frames import ControlFrame, DataFrame, SystemFrame
from pipecat.processors.aggregators.llm_context import LLMContext

TURN = "turn"
"""Key in the metadata of an ``LLMContextFrame``: name of the user's turn that it ends, a number from 1.

A question that is asked early has the name that the turn will have."""

EARLY = "early"
"""Key in the metadata of an ``LLMContextFrame`` that asks before the turn is over: number of the question, from 1.

An ``EagerEndOfTurnCancelFrame`` with it withdraws that question and all before it."""

APOLOGY = "apology"
"""Key in the metadata of an ``LLMTextFrame`` that stands for an answer that could not be had: why, in one line."""


@dataclass
class TurnSentFrame(SystemFrame):
    """The brain has written a user turn to its Live session.

    Broadcast by the brain for latency accounting; carries what was sent, not what the model answers.

    Parameters:
        text: What the user said, and nothing else; empty where the program asked for an answer.
        prompt: What the program asked then; empty for the user's turns.
        turn: Number of the turn in this session, from 1.
        attempt: 1 for the first send, higher for a resend on a new connection.
    """

    text: str = ""
    prompt: str = ""
    turn: int = 0
    attempt: int = 1


@dataclass
class DuckFrame(SystemFrame):
    """Set the loudness of bot speech at the device, at once, ahead of audio already queued.

    Pipecat's ``VolumeGainFrame`` takes effect in order with queued audio, which is seconds too late while a user
    starts to speak over the bot. Output transports of this project apply it to the very next device write; for others
    a ``Playout`` does.

    Parameters:
        gain: Multiplier on the samples; 1.0 restores full loudness.
        ramp_secs: Time over which the gain is approached, in seconds, so that no click is heard.
    """

    gain: float = 1.0
    ramp_secs: float = 0.02


@dataclass
class PlayoutDelayFrame(SystemFrame):
    """Tell the voice how long its audio takes until it is heard, as far as that is known.

    Words count as heard when their sound has come that far.

    Parameters:
        secs: Seconds from pushing audio into an idle pipeline until it is heard at the client.
    """

    secs: float = 0.0


@dataclass
class SpeechOnsetFrame(SystemFrame):
    """The user may have begun to speak; voice activity detection has not confirmed it yet.

    Followed by a ``VADUserStartedSpeakingFrame`` if it was speech, by a ``SpeechPausedFrame`` if it was not.

    Parameters:
        secs: How long it has sounded like speech, in seconds.
        sound_secs: How long there has been sound at all, in seconds, no longer than is worth recognizing: the first
            words of a voice that voice activity detection does not take for one.
    """

    secs: float = 0.0
    sound_secs: float = 0.0


@dataclass
class SpeechPausedFrame(SystemFrame):
    """The user has fallen silent for a moment; whether speech has ended is still open.

    Followed by a ``VADUserStoppedSpeakingFrame`` if it has, by a ``SpeechResumedFrame`` if it goes on.

    Parameters:
        secs: How long it has been silent, in seconds.
    """

    secs: float = 0.0


@dataclass
class SpeechResumedFrame(SystemFrame):
    """The user goes on speaking after a ``SpeechPausedFrame``.

    Parameters:
        secs: How long speech has been heard again, in seconds.
    """

    secs: float = 0.0


@dataclass
class PauseJudgedFrame(SystemFrame):
    """What is made of a pause in the user's turn; pushed whenever more becomes known about it.

    Parameters:
        goes_on: Probability that the user goes on.
        secs_left: Seconds until the turn ends if nothing more is heard or becomes known.
    """

    goes_on: float = 0.0
    secs_left: float = 0.0


@dataclass
class ListeningSoundFrame(SystemFrame):
    """A listener's sound begins ("mm-hm"), in a pause of the user's turn; it is nobody's turn and in no context.

    Parameters:
        text: What is said.
    """

    text: str = ""


@dataclass
class SpeechCoveredFrame(ControlFrame):
    """All that the user has said so far is in transcriptions already pushed; the newest sound held no words.

    Takes the place of a finalized ``TranscriptionFrame`` that would have no text.
    """

    interruptible: bool = field(default=False, init=False)


@dataclass
class TurnReopenedFrame(SystemFrame):
    """The user goes on with a turn that was taken to be over, before any answer to it was heard.

    Goes ahead of the ``InterruptionFrame``. The turn's message is no longer in the context; the turn ends anew with all
    its words, and is then the only one.

    Parameters:
        text: The words of the turn so far.
        turn: Name of the turn, as ``LLMContextFrame.metadata[TURN]`` has it.
    """

    text: str = ""
    turn: int = 0


@dataclass
class TurnConfirmedFrame(DataFrame):
    """The user's turn has ended with the words that were asked early, and stands in the context.

    Takes the place of the ``LLMContextFrame`` that would ask again. Whoever does not have that question any more, since
    something overtook it, asks this.

    Parameters:
        context: The conversation.
        turn: Name of the turn.
        early: Number of the question, as ``LLMContextFrame.metadata[EARLY]`` has it.
    """

    context: LLMContext = field(default_factory=LLMContext)
    turn: int = 0
    early: int = 0


class Service(StrEnum):
    """The three services of a talk."""

    EARS = "ears"
    BRAIN = "brain"
    VOICE = "voice"


@dataclass
class ServiceOutageFrame(SystemFrame):
    """Somebody waits for a service, and it does not serve. Pushed once for each such wait, both ways.

    Parameters:
        service: Which.
        line: Cause and remedy, one line for a person.
    """

    service: Service = Service.EARS
    line: str = ""


@dataclass
class ServiceRecoveredFrame(SystemFrame):
    """A service that had an outage serves again. Pushed both ways.

    Parameters:
        service: Which.
    """

    service: Service = Service.EARS


@dataclass
class TroubleToneFrame(SystemFrame):
    """Something is wrong and the voice cannot say so: a sound shall tell it, ahead of speech that is held up."""


@dataclass
class SpeechLostFrame(SystemFrame):
    """Speech of the user that could not be recognized and was given up. Pushed both ways.

    Parameters:
        secs: How much, in seconds.
    """

    secs: float = 0.0


@dataclass
class SpeechSkippedFrame(SystemFrame):
    """Text of a reply that the voice could not speak and gave up. Pushed both ways.

    Parameters:
        text: What nobody heard.
    """

    text: str = ""


@dataclass
class AnswerForeseenFrame(SystemFrame):
    """Text of an answer that was asked for early and is held: the voice may make its first sound ready, unheard.

    The text itself follows as ``LLMTextFrame``s once the user's turn has ended. If the answer is withdrawn
    (``EagerEndOfTurnCancelFrame``, ``InterruptionFrame``), it never does.

    Parameters:
        text: The next characters.
    """

    text: str = ""
