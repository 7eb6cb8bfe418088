"""What the doctor says of a voice that was measured."""

import re
from dataclasses import replace

import pytest

from halfcascade.bot.doctor.voice import describe, recommend
from halfcascade.bot.settings import Settings
from halfcascade.lines import use_language
from halfcascade.processors.chirp_tts.measuring import VoiceMeasures
from halfcascade.processors.openers import OpenerMode

GOOD = VoiceMeasures((0.2, 0.21, 0.4), (0.2, 0.2, 0.2), (0.22, 0.22, 0.9), True, 0.4, 0.25, 0.5)


def test_what_was_measured_is_told():
    lines = " ".join(str(finding) for finding in describe(GOOD))
    assert "a fragment after 210 ms, a clause after 200 ms, a sentence after 220 ms" in lines
    assert "slowest 900 ms" in lines
    assert "without waiting for the second, 250 ms" in lines and "500 ms, which are trimmed" in lines
    assert "only when there is" in str(describe(replace(GOOD, speaks_at_once=False))[1])
    assert "are refused" in str(describe(replace(GOOD, speaks_at_once=None, pause_in_one_stream=None))[1])


def test_it_is_told_in_korean_too():
    try:
        use_language("ko-KR")
        told = [*describe(GOOD), *recommend(replace(GOOD, fragment=(0.9,) * 3, clause=(0.9,) * 3), Settings(), 2.0)]
    finally:
        use_language("en-US")
    assert len(told) == 5
    assert all(re.search("[가-힣]", finding.line) for finding in told)


@pytest.mark.parametrize(
    ("measures", "settings", "answer", "words"),
    [
        (GOOD, Settings(), 1.0, ["suit"]),
        (replace(GOOD, pause_in_one_stream=0.45), Settings(), 1.0, ["HALFCASCADE_ONE_STREAM=true"]),
        (replace(GOOD, pause_in_one_stream=0.45), Settings(one_stream=True), 1.0, ["suit"]),
        (replace(GOOD, pause_in_one_stream=0.45, speaks_at_once=False), Settings(), 1.0, ["suit"]),
        (replace(GOOD, speaks_at_once=False), Settings(one_stream=True), 1.0, ["HALFCASCADE_ONE_STREAM=false"]),
        (replace(GOOD, speaks_at_once=None), Settings(one_stream=True), 1.0, ["HALFCASCADE_ONE_STREAM=false"]),
        (GOOD, Settings(), 1.8, ["HALFCASCADE_OPENERS=auto"]),
        (GOOD, Settings(openers=OpenerMode.ALWAYS), 1.8, ["suit"]),
        (replace(GOOD, fragment=(0.5, 0.5, 0.5)), Settings(), 1.0, ["HALFCASCADE_FIRST_WAIT"]),
        (replace(GOOD, fragment=(0.5, 0.5, 0.5)), Settings(first_wait=2.0), 1.0, ["suit"]),
        (
            VoiceMeasures((0.9,), (0.9,), (0.7,), True, 0.4, 0.1, 0.4),
            Settings(),
            2.0,
            ["FIRST_WAIT", "TTS_LOCATION", "OPENERS"],
        ),
    ],
)
def test_what_is_recommended(measures, settings, answer, words):
    findings = [str(finding) for finding in recommend(measures, settings, answer)]
    assert len(findings) == len(words)
    assert all(word in line for word, line in zip(words, findings, strict=True))
