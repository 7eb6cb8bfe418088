"""Whatever a client sends and whenever, the machines end once, cleanly, and say nothing afterwards."""

from google.cloud.texttospeech_v1.types import cloud_tts
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.emulator.actions import Abort, Begin, End, Feed, Finish
from halfcascade.emulator.limits import SpeechLimits, TtsLimits
from halfcascade.emulator.minds.base import Hypothesis, SpeechActivity
from halfcascade.emulator.speech.machine import RecognizeStream
from halfcascade.emulator.speech.v2 import V2
from halfcascade.emulator.tts.machine import SynthesizeStream
from tests.emulator.speech import requests as speech
from tests.emulator.tts import requests as tts

RESPONSE = cloud_tts.StreamingSynthesizeResponse.pb()
SPEECH_STEPS = {
    "config": lambda machine, now: machine.receive(
        speech.config_request(interim_results=True, enable_voice_activity_events=True)._pb, now
    ),
    "audio": lambda machine, now: machine.receive(speech.audio_request(bytes(3_201))._pb, now),
    "too much": lambda machine, now: machine.receive(speech.audio_request(bytes(25_601))._pb, now),
    "interim": lambda machine, now: machine.heard([Hypothesis("a", is_final=False, start=0.0, end=1.0)], now),
    "final": lambda machine, now: machine.heard([Hypothesis("a", is_final=True, start=0.0, end=1.0)], now),
    "begin": lambda machine, now: machine.heard([SpeechActivity("begin", 0.1)], now),
    "end": lambda machine, now: machine.heard([SpeechActivity("end", 0.5)], now),
    "half close": lambda machine, now: machine.half_close(now),
    "done": lambda machine, now: machine.listener_done(now),
    "tick": lambda machine, now: machine.tick(now),
}
TTS_STEPS = {
    "config": lambda machine, now: machine.receive(tts.config_request()._pb, now),
    "text": lambda machine, now: machine.receive(tts.text_request("Hello.")._pb, now),
    "markup": lambda machine, now: machine.receive(tts.markup_request("One.[pause]Two.[pause]")._pb, now),
    "too much": lambda machine, now: machine.receive(tts.text_request("x" * 5_001)._pb, now),
    "audio": lambda machine, now: machine.spoken(bytes(4_800), now),
    "half close": lambda machine, now: machine.half_close(now),
    "done": lambda machine, now: machine.speaker_done(now),
    "tick": lambda machine, now: machine.tick(now),
}


def check(machine, steps, plan) -> None:
    now, ended, begun = 0.0, 0, False
    for name, pause in plan:
        now += pause
        for action in steps[name](machine, now):
            assert not ended, f"{action} after the end"
            if isinstance(action, Begin):
                assert not begun
                begun = True
            if isinstance(action, Feed | Finish):
                assert begun, "input for a mind that was not begun"
            if isinstance(action, Finish) and isinstance(machine, SynthesizeStream):
                begun = False
            if isinstance(action, End | Abort):
                ended += 1
    if ended:
        assert machine.deadline is None


def plans(steps):
    return st.lists(st.tuples(st.sampled_from(sorted(steps)), st.sampled_from([0.0, 0.1, 4.0, 11.0])), max_size=25)


@settings(max_examples=150, deadline=None)
@given(plans(SPEECH_STEPS))
def test_recognition_ends_once(plan):
    check(RecognizeStream(0.0, SpeechLimits(), V2("id")), SPEECH_STEPS, [("config", 0.0), *plan])


@settings(max_examples=50, deadline=None)
@given(plans(SPEECH_STEPS))
def test_recognition_survives_any_first_message(plan):
    before = {name: step for name, step in SPEECH_STEPS.items() if name in ("audio", "too much", "half close", "tick")}
    plan = [(name, pause) for name, pause in plan if name in before]
    check(RecognizeStream(0.0, SpeechLimits(), V2("id")), before, plan)


@settings(max_examples=150, deadline=None)
@given(plans(TTS_STEPS))
def test_synthesis_ends_once(plan):
    # A speaker only makes audio, and only ends, when it was asked to.
    check(SynthesizeStream(0.0, TtsLimits(), 0.24, RESPONSE), TTS_STEPS, sensible(plan))


def sensible(plan):
    """Leave out what no speaker does: ending a stream that nobody finished."""
    machine, now, finishing = (
        SynthesizeStream(0.0, TtsLimits(), 0.24, RESPONSE),
        0.0,
        False,
    )
    kept = []
    for wanted, pause in [("config", 0.0), *plan]:
        name = "tick" if wanted == "done" and not finishing else wanted
        now += pause
        kept.append((name, pause))
        actions = TTS_STEPS[name](machine, now)
        if name == "done":
            finishing = False
        finishing = finishing or any(isinstance(action, Finish) for action in actions)
    return kept
