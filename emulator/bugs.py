"""The most cited troubles of the real services, as faults with a name, so that a client can be tried on each.

Most of what Google's services refuse by rule (a TEXT modality, a second setup, a thinking level) is refused here always
and needs no fault; these are the troubles that come and go.
"""

from collections.abc import Callable
from dataclasses import dataclass

from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.faults import Fault, Faults
from halfcascade.emulator.live.errors import Refusal
from halfcascade.emulator.live.faults import GoAway, TurnFault


@dataclass(frozen=True)
class Bug:
    """One trouble.

    Parameters:
        name: What it is called here.
        about: What a client sees.
        link: Where people report it.
        add: Lets it happen from now on.
    """

    name: str
    about: str
    link: str
    add: Callable[[Faults], None]


def _set(**values: object) -> Callable[[Faults], None]:
    def add(faults: Faults) -> None:
        for name, value in values.items():
            setattr(faults.live, name, value)

    return add


def _turn(fault: TurnFault) -> Callable[[Faults], None]:
    return lambda faults: faults.live.turns.append(fault)


_QUOTA = Refusal(1011, "You exceeded your current quota, please check your plan and billing details.")
_GITHUB = "https://github.com"
_CASSETTES = f"{_GITHUB}/pydantic/pydantic-ai/tree/main/tests/realtime/cassettes"

BUGS: dict[str, Bug] = {
    bug.name: bug
    for bug in (
        Bug(
            "silent-turn",
            "One turn in twenty gets no answer.",
            f"{_GITHUB}/google-gemini/gemini-live-api-examples/issues/55",
            _set(silent_share=0.05),
        ),
        Bug(
            "frozen-after-interruption",
            "After the first interruption nothing is answered any more.",
            f"{_GITHUB}/google-gemini/gemini-live-api-examples/issues/52",
            _set(freeze_after_interruption=True),
        ),
        Bug(
            "keepalive-timeout",
            "Pings are answered after half a minute, and clients close with 1011.",
            f"{_GITHUB}/googleapis/python-genai/issues/2935",
            _set(pong_delay=30.0),
        ),
        Bug(
            "stops-mid-sentence",
            "Every answer stops after two pieces, without an end and without an error.",
            f"{_GITHUB}/google-gemini/cookbook/issues/1225",
            _turn(TurnFault(stops_after=2)),
        ),
        Bug(
            "late-transcript",
            "Transcripts come 0.6 s after their audio, the last one after turnComplete.",
            f"{_GITHUB}/pipecat-ai/pipecat/pull/4175",
            _turn(TurnFault(transcript_lag=0.6, after_turn_complete=True)),
        ),
        Bug(
            "no-transcript",
            "Answers come without any transcript.",
            f"{_GITHUB}/langwatch/scenario/issues/446",
            _turn(TurnFault(no_transcript=True)),
        ),
        Bug(
            "turn-without-audio",
            "Answers come as a transcript alone, without any audio.",
            _CASSETTES,
            _turn(TurnFault(no_audio=True)),
        ),
        Bug(
            "unasked-update",
            "Function results are followed by a sessionResumptionUpdate that nobody asked for.",
            _CASSETTES,
            _set(unasked_update=True),
        ),
        Bug(
            "late-turn-complete",
            "turnComplete comes 20 s after generationComplete.",
            f"{_GITHUB}/livekit/agents/issues/6421",
            _turn(TurnFault(turn_complete_delay=20.0)),
        ),
        Bug(
            "refused-client-content",
            "A turn in mid-session is answered with 1007.",
            f"{_GITHUB}/livekit/agents/pull/5251",
            _turn(TurnFault(turn=2, refusal=Refusal(1007, "Request contains an invalid argument."))),
        ),
        Bug(
            "silent-tool-results",
            "Nothing is said to function results until the user speaks again.",
            f"{_GITHUB}/pipecat-ai/pipecat/pull/4366",
            _set(silent_results=True),
        ),
        Bug(
            "ten-minute-close",
            "Connections are announced their end at once, fall silent, and are closed after five seconds.",
            f"{_GITHUB}/pipecat-ai/pipecat/issues/3112",
            lambda faults: faults.live.go_aways.append(GoAway(time_left=5.0, mute=True, times=-1)),
        ),
        Bug(
            "refused-handle",
            "The first resumption is refused with 1007 although its handle is good.",
            "https://discuss.ai.google.dev/t/186392",
            _set(refuse_handles=1),
        ),
        Bug(
            "quota",
            "The first setup is refused with 1011 for the quota.",
            "https://discuss.ai.google.dev/t/174664",
            _set(refuse_setups=1, refuse_setups_with=_QUOTA),
        ),
        Bug(
            "speech-stream-timeout",
            "Every recognition stream is aborted after two seconds.",
            f"{_GITHUB}/pipecat-ai/pipecat/issues/2180",
            lambda faults: faults.add(
                Fault(
                    "speech",
                    "error",
                    at=2.0,
                    code="ABORTED",
                    message="Stream timed out after receiving no more client requests.",
                    times=-1,
                )
            ),
        ),
        Bug(
            "overloaded",
            "The first three generateContent requests are refused with 503.",
            f"{_GITHUB}/googleapis/python-genai/issues",
            lambda faults: faults.add(
                Fault("generate", "error", code="UNAVAILABLE", message="The model is overloaded.", times=3)
            ),
        ),
    )
}


def add_bug(faults: Faults, name: str) -> None:
    """Let a named trouble happen from now on.

    Args:
        faults: Where it is noted.
        name: One of ``BUGS``.

    Raises:
        EmulatorError: If there is none of that name.
    """
    bug = BUGS.get(name)
    if bug is None:
        raise EmulatorError(f"There is no fault {name!r}: use {', '.join(BUGS)}.")
    bug.add(faults)
