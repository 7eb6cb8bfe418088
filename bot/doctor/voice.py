"""Measures the voice for a talk, and says which settings that speaks for."""

from collections.abc import Mapping
from statistics import median
from typing import TYPE_CHECKING

from halfcascade.bot.doctor.findings import Finding, Status
from halfcascade.bot.settings import Settings
from halfcascade.processors.openers import OpenerMode

if TYPE_CHECKING:
    from halfcascade.processors.chirp_tts.measuring import VoiceMeasures

# Below this an opener would rarely be due (bench/README.md, "Openers").
_SLOW_ANSWER_SECS = 1.3
# A first piece that is heard for less would leave a silence after it.
_SLOW_VOICE_SECS = 0.6
# What short pieces must save or cost to count.
_MATTERS_SECS = 0.1


async def measure_voice(settings: Settings, environ: Mapping[str, str], *, answer_secs: float) -> list[Finding]:
    """Measure the voice of a talk.

    Args:
        settings: What the talk would use.
        environ: The variables that lead to the server.
        answer_secs: How long an answer is expected to take, by what the services took.

    Returns:
        What was measured, and what it speaks for.

    Raises:
        ConfigurationError: If the voice does not speak.
    """
    from halfcascade.bot.pipeline import make_voice

    measures = await make_voice(settings, environ).measure()
    return [*describe(measures), *recommend(measures, settings, answer_secs)]


def describe(found: "VoiceMeasures") -> list[Finding]:
    """Say what was measured.

    Args:
        found: The measures.
    """
    first = ", ".join(
        f"{what} after {1000 * median(times):.0f} ms"
        for what, times in (("a fragment", found.fragment), ("a clause", found.clause), ("a sentence", found.sentence))
    )
    lines = [f"The voice begins {first} (medians of {len(found.fragment)}, slowest {1000 * found.slowest:.0f} ms)"]
    if found.speaks_at_once is None or found.pause_in_one_stream is None:
        stream = "Two inputs in one stream are refused"
    else:
        kept = "without waiting for" if found.speaks_at_once else "only when there is"
        pause = f"with {1000 * found.pause_in_one_stream:.0f} ms between them"
        stream = f"Of two inputs in one stream the first is spoken {kept} the second, {pause}"
    one, apart = 1000 * found.pause_in_one_input, 1000 * found.silence_apart
    lines.append(f"{stream}; {one:.0f} ms in one input; calls of their own leave {apart:.0f} ms, which are trimmed")
    return [Finding(Status.OK, line) for line in lines]


def recommend(found: "VoiceMeasures", settings: Settings, answer_secs: float) -> list[Finding]:
    """Say which settings the measures speak for.

    Args:
        found: The measures.
        settings: What is set.
        answer_secs: How long an answer is expected to take.

    Returns:
        A finding for each setting that should be another, or one that says that none should.
    """
    default = Settings.model_fields["first_wait"].default
    advice = []
    if median(found.fragment) > median(found.sentence) + _MATTERS_SECS and settings.first_wait <= default:
        advice.append(("Fragments begin later than sentences", "set HALFCASCADE_FIRST_WAIT=2.0 to let phrases end."))
    if found.typical > _SLOW_VOICE_SECS:
        remedy = "set HALFCASCADE_TTS_LOCATION to a region near you."
        advice.append((f"The voice takes {found.typical:.1f} s to begin", remedy))
    if answer_secs > _SLOW_ANSWER_SECS and settings.openers is OpenerMode.OFF:
        slow = f"Answers are expected after {answer_secs:.1f} s"
        advice.append((slow, "set HALFCASCADE_OPENERS=auto for a short word while they are on their way."))
    if advice:
        return [Finding(Status.WARN, line, remedy) for line, remedy in advice]
    return [Finding(Status.OK, "The voice's settings suit what was measured")]
