"""Measures the voice for a talk, and says which settings that speaks for."""

from collections.abc import Mapping
from statistics import median
from typing import TYPE_CHECKING

from halfcascade.bot.doctor.findings import Finding, Status
from halfcascade.bot.settings import Settings
from halfcascade.lines import tr
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
    begins = tr(
        "The voice begins a fragment after {fragment} ms, a clause after {clause} ms, a sentence after {sentence} ms "
        "(medians of {tries}, slowest {slowest} ms)"
    ).format(
        fragment=_ms(median(found.fragment)),
        clause=_ms(median(found.clause)),
        sentence=_ms(median(found.sentence)),
        tries=len(found.fragment),
        slowest=_ms(found.slowest),
    )
    if found.speaks_at_once is None or found.pause_in_one_stream is None:
        stream = tr("Two inputs in one stream are refused")
    else:
        at_once = tr("Of two inputs in one stream the first is spoken without waiting for the second, {ms} ms apart")
        waits = tr("Of two inputs in one stream the first is spoken only when there is the second, {ms} ms apart")
        stream = (at_once if found.speaks_at_once else waits).format(ms=_ms(found.pause_in_one_stream))
    silences = tr("sentences in one input leave {one} ms; calls of their own {apart} ms, which are trimmed").format(
        one=_ms(found.pause_in_one_input), apart=_ms(found.silence_apart)
    )
    return [Finding(Status.OK, begins), Finding(Status.OK, f"{stream}; {silences}")]


def _ms(secs: float) -> int:
    return round(1000 * secs)


def _one_stream_pays(found: "VoiceMeasures") -> bool:
    """Whether several inputs in one stream cost no time and are joined as the voice joins what is one text."""
    pause = found.pause_in_one_stream
    return bool(found.speaks_at_once) and pause is not None and abs(pause - found.pause_in_one_input) < _MATTERS_SECS


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
        remedy = tr("set {name}=2.0 to let phrases end.").format(name="HALFCASCADE_FIRST_WAIT")
        advice.append((tr("Fragments begin later than sentences"), remedy))
    if found.typical > _SLOW_VOICE_SECS:
        slow = tr("The voice takes {secs} s to begin").format(secs=f"{found.typical:.1f}")
        advice.append((slow, tr("set {name} to a region near you.").format(name="HALFCASCADE_TTS_LOCATION")))
    if answer_secs > _SLOW_ANSWER_SECS and settings.openers is OpenerMode.OFF:
        slow = tr("Answers are expected after {secs} s").format(secs=f"{answer_secs:.1f}")
        remedy = tr("set {name}=auto for a short word while they are on their way.").format(name="HALFCASCADE_OPENERS")
        advice.append((slow, remedy))
    name = "HALFCASCADE_ONE_STREAM"
    if _one_stream_pays(found) and not settings.one_stream:
        paid = tr("Two inputs in one stream are joined as in one text, without waiting")
        advice.append((paid, tr("set {name}=true for fewer calls and natural joins.").format(name=name)))
    if not found.speaks_at_once and settings.one_stream:
        waits = tr("A stream is not spoken before it ends, or takes one input")
        advice.append((waits, tr("set {name}=false.").format(name=name)))
    if advice:
        return [Finding(Status.WARN, line, remedy) for line, remedy in advice]
    return [Finding(Status.OK, tr("The voice's settings suit what was measured"))]
