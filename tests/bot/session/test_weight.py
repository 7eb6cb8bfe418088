"""What one turn leaves behind in memory for the rest of the talk."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

from halfcascade.bot.session.events import Event, EventType
from halfcascade.bot.session.metrics import Metrics
from halfcascade.bot.session.transcript import Transcript
from halfcascade.processors.gemini_live.protocol.history import History

WORDS = 8
# Of a turn of eight words and an answer of twenty-four; 300 an hour are about three quarters of a megabyte.
MOST_BYTES = {"metrics": 800, "transcript": 720, "history": 1200}


def events(number: int) -> Iterator[Event]:
    """One turn and its reply, as a talk tells them."""
    at, said = 12.0 * number, " ".join(f"word{number}x{word}" for word in range(WORDS))
    yield Event(at, EventType.USER_STARTED, {"speech_at": at - 0.2})
    yield Event(at + 2.0, EventType.USER_STOPPED, {"speech_at": at + 1.8})
    yield Event(at + 2.1, EventType.FINAL, {"text": said})
    yield Event(at + 2.3, EventType.TURN_ENDED, {"text": said})
    yield Event(at + 2.3, EventType.TURN_SENT, {"text": said, "attempt": 1})
    yield Event(at + 2.6, EventType.REPLY_STARTED, {})
    for word in range(WORDS):
        yield Event(at + 2.6, EventType.REPLY_TEXT, {"text": f"some {number}{word} words "})
    yield Event(at + 2.7, EventType.REPLY_ENDED, {})
    for type_ in (EventType.FIRST_AUDIO, EventType.SPEAKING_STARTED, EventType.SOUND_BEGAN):
        yield Event(at + 2.8, type_, {})
    for word in range(WORDS):
        yield Event(at + 3.0, EventType.HEARD, {"text": f"some {number}{word} words "})
    yield Event(at + 5.0, EventType.USAGE, {"kind": "stt", "audio_secs": 2.0 + number})
    names = ("prompt_tokens", "completion_tokens", "total_tokens", "input_text_tokens", "output_audio_tokens")
    yield Event(at + 5.0, EventType.USAGE, {"kind": "llm", **{name: 300.0 + number for name in names}})
    yield Event(at + 5.0, EventType.USAGE, {"kind": "tts", "characters": 90.0 + number})
    yield Event(at + 6.0, EventType.SPEAKING_STOPPED, {})
    yield Event(at + 6.0, EventType.SOUND_ENDED, {})


class Remembered:
    """The model's side of a talk: what its session holds."""

    def __init__(self) -> None:
        self.history = History()
        self.messages: list[Any] = []

    def turn(self, number: int) -> None:
        self.messages.append({"role": "user", "content": " ".join(f"word{number}x{word}" for word in range(WORDS))})
        turn = self.history.take(self.messages, number)
        assert turn is not None
        self.history.compose(turn)
        answer = [f"some {number}{word} words " for word in range(WORDS)]
        for piece in answer:
            self.history.said(number, piece)
        self.messages.append({"role": "assistant", "content": "".join(answer).strip()})


def bytes_a_turn(take: Callable[[int], None]) -> float:
    """What a turn adds, from the fiftieth to the hundred-and-fiftieth."""
    for number in range(1, 51):
        take(number)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(51, 151):
            take(number)
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / 100
    finally:
        tracemalloc.stop()


def feed(reducer: Metrics | Transcript) -> Callable[[int], None]:
    def take(number: int) -> None:
        for event in events(number):
            reducer.apply(event)

    return take


def test_a_turn_leaves_little_behind():
    metrics, transcript, remembered = Metrics(), Transcript(), Remembered()
    takers = {"metrics": feed(metrics), "transcript": feed(transcript), "history": remembered.turn}
    found = {name: bytes_a_turn(take) for name, take in takers.items()}
    assert len(metrics.turns) == len(remembered.messages) / 2 == 150 and len(transcript.entries) == 300
    assert all(found[name] < most for name, most in MOST_BYTES.items()), found
