"""Pauses between one segment's audio and the next."""

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from halfcascade.processors.chirp_tts.protocol.sound import Sound

RATE = 24_000


@pytest.mark.parametrize(
    ("busy_until", "left_secs"),
    [(12.0, 0.5), (10.0, 0.5), (9.8, 0.3), (9.0, 0.0)],
    ids=["still sounds", "ends now", "silent for a while", "silent for long"],
)
def test_silence_that_has_passed_counts_as_pause(busy_until, left_secs):
    actions: deque[Any] = deque()
    playback: Any = SimpleNamespace(busy_until=busy_until)
    sound = Sound([], SimpleNamespace(sample_rate=RATE), playback, actions, attempts=1)
    sound._pending_pause = bytes(RATE)  # half a second of 16-bit samples
    sound._append_pause(10.0)
    assert sum(len(action.pcm) for action in actions) == pytest.approx(left_secs * 2 * RATE, abs=2)
