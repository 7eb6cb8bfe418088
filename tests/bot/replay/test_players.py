"""What recorded services answer to what was asked then, and to what was not."""

import asyncio
import inspect
import time

import numpy as np
import pytest
from google.api_core import exceptions as google_errors
from google.cloud.speech_v2.types import cloud_speech

from halfcascade.bot.replay import recorded, virtual_time
from halfcascade.bot.replay.brain import BrainPlayer, function_results
from halfcascade.bot.replay.ears import EarsPlayer
from halfcascade.bot.replay.hearing import UserAudio
from halfcascade.bot.replay.memory import MemoryLive
from halfcascade.bot.replay.played import PlayedServices
from halfcascade.bot.replay.voice import VoicePlayer, spoken_text
from halfcascade.bot.services import GoogleServices
from halfcascade.processors.gemini_live.connection import ConnectionLost, ConnectionRefused, LiveConnection

RATE = 16_000
SOUND = np.random.default_rng(1).integers(-9000, 9000, 20 * RATE, dtype=np.int16)


class Guesses(list):
    def __call__(self, service: str, line: str) -> None:
        self.append((service, line))


@pytest.mark.parametrize(
    ("real", "others"),
    [
        (LiveConnection, (MemoryLive, recorded._RecordedLive)),
        (GoogleServices, (PlayedServices, recorded.RecordedServices)),
    ],
)
def test_whoever_stands_in_for_a_client_can_do_all_it_can(real, others):
    """Else a talk would break at the first call that nobody passes on."""
    for name, method in vars(real).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            for other in others:
                inspect.signature(getattr(other, name)).bind(*_positional(method), **_named(method))


def _positional(method) -> list:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [None for parameter in inspect.signature(method).parameters.values() if parameter.kind in kinds]


def _named(method) -> dict:
    parameters = inspect.signature(method).parameters.items()
    return {name: None for name, parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY}


# Ears


def heard(text: str, after, secs: float, *, final: bool = False, end: float = 0.0) -> dict:
    return {
        "after": after, "secs": secs, "billed": 0.0,
        "results": [{"text": text, "final": final, "end": end, "language": "en-US"}],
    }  # fmt: skip


STREAMS = [
    {
        "kind": "ears", "t": 1.0, "begin": RATE, "sent": 2 * RATE,
        "responses": [heard("where is", RATE, 0.01), heard("Where is the key?", "close", 0.2, final=True, end=1.8)],
        "end": {"after": "close", "secs": 0.21},
    },
    {
        "kind": "ears", "t": 6.0, "begin": 6 * RATE, "sent": 2 * RATE,
        "responses": [heard("Thank you.", "close", 0.3, final=True, end=1.5)],
        "end": {"after": "close", "secs": 0.3},
    },
]  # fmt: skip


def listen(begin: float, end: float, lines=None, guesses=None, audio=SOUND) -> list[tuple[float, str, bool]]:
    """Send a part of the user's audio in real time; seconds after the half-close (negative: before), text, final."""

    async def run() -> list[tuple[float, str, bool]]:
        user = UserAudio()
        ears = EarsPlayer(lines or STREAMS, user, guesses if guesses is not None else Guesses())
        closed: list[float] = []

        async def requests():
            user.append(SOUND[: round(begin * RATE)].tobytes())
            yield cloud_speech.StreamingRecognizeRequest(recognizer="x")
            for at in range(round(begin * RATE), round(end * RATE), RATE // 50):
                until = min(at + RATE // 50, round(end * RATE))
                user.append(SOUND[at:until].tobytes())
                yield cloud_speech.StreamingRecognizeRequest(audio=audio[at:until].tobytes())
                await asyncio.sleep(0.02)
            closed.append(time.monotonic())

        found = []
        async for response in ears.recognize(requests()):
            result = response.results[0]
            found.append((time.monotonic(), result.alternatives[0].transcript, result.is_final))
        end_at = closed[0] if closed else time.monotonic()
        return [(round(at - end_at, 2), text, final) for at, text, final in found]

    return virtual_time.run(run())


def test_the_same_audio_is_answered_the_same_after_the_same_time():
    guesses = Guesses()
    assert listen(1.0, 3.0, guesses=guesses) == [(-1.01, "where is", False), (0.2, "Where is the key?", True)]
    assert guesses == []


@pytest.mark.parametrize("shift", [-0.2, 0.2])
def test_a_stream_that_begins_a_little_elsewhere_is_the_same(shift):
    assert listen(1.0 + shift, 3.0)[-1] == (0.2, "Where is the key?", True)


def test_what_is_half_closed_later_is_answered_later_by_as_much():
    assert listen(1.0, 4.0)[-1] == (0.2, "Where is the key?", True)


def test_of_audio_that_is_cut_short_only_its_words_are_understood():
    guesses = Guesses()
    *_, (late, text, final) = listen(1.0, 2.1, guesses=guesses)
    assert final and late == pytest.approx(0.25, abs=0.06)
    assert "Where is the key?".startswith(text) and text != "Where is the key?" and text
    assert guesses and guesses[0][0] == "ears"


def test_a_beginning_that_was_not_sent_is_not_understood():
    text = listen(2.0, 3.2)[-1][1]
    assert text.endswith("key?") and "Where" not in text


def test_two_streams_in_one_are_all_their_words():
    assert listen(1.0, 8.2)[-1][1] == "Where is the key? Thank you."


def test_where_nobody_spoke_nothing_is_understood():
    guesses = Guesses()
    assert listen(9.0, 10.0, guesses=guesses) == []
    assert guesses == []


def test_audio_that_was_changed_is_taken_for_the_newest():
    assert listen(1.0, 3.0, audio=SOUND // 3)[-1] == (0.2, "Where is the key?", True)


def test_errors_come_again():
    broken = {**STREAMS[0], "responses": [], "end": {
        "after": RATE, "secs": 0.05, "error": {"type": "ServiceUnavailable", "message": "gone"}}}  # fmt: skip
    with pytest.raises(google_errors.ServiceUnavailable, match="gone"):
        listen(1.0, 3.0, [broken])


# Brain


def message(secs: float, connection: int = 1, **content) -> dict:
    return {
        "kind": "brain", "t": 0.0, "connection": connection, "event": "message", "secs": secs, "age": secs,
        "message": {"server_content": content},
    }  # fmt: skip


def sent(text: str, **fields) -> dict:
    line = {"kind": "brain", "t": 0.0, "connection": 1, "event": "sent", "secs": 0.0, "age": 0.0}
    return {**line, "text": text, "complete": True, **fields}


OPENED = {"kind": "brain", "t": 0.0, "connection": 1, "event": "opened", "secs": 0.0, "age": 0.0}
BRAIN = [
    OPENED,
    sent("How old are you?"),
    message(0.4, output_transcription={"text": "Seven."}),
    message(0.6, turn_complete=True),
    sent("What is the weather like in Lisbon?"),
    message(0.5, output_transcription={"text": "Sunny."}),
    message(0.7, turn_complete=True),
]


def ask(*texts: str, lines=BRAIN, guesses=None, wait: float = 5.0) -> list[tuple[float, str]]:
    async def run() -> list[tuple[float, str]]:
        live = await BrainPlayer(lines, guesses if guesses is not None else Guesses()).open_live()
        found: list[tuple[float, str]] = []

        async def listen() -> None:
            async for answer in live.messages():
                content = answer.server_content
                text = content.output_transcription.text if content and content.output_transcription else "over"
                found.append((round(time.monotonic() - asked, 2), text))

        listening = asyncio.create_task(listen())
        for text in texts:
            asked = time.monotonic()
            await live.send_text(text)
            await asyncio.sleep(wait)
        listening.cancel()
        return found

    return virtual_time.run(run())


def test_the_same_words_are_answered_the_same_whatever_their_order():
    weather, age = [(0.5, "Sunny."), (0.7, "over")], [(0.4, "Seven."), (0.6, "over")]
    assert ask("How old are you?", "What is the weather like in Lisbon?") == age + weather
    assert ask("What is the weather like in Lisbon?", "How old are you?") == weather + age


def test_words_that_are_nearly_the_same_are_answered_by_the_nearest_and_that_is_told():
    guesses = Guesses()
    assert ask("What is the weather in Lisbon?", guesses=guesses)[0] == (0.5, "Sunny.")
    assert [service for service, _ in guesses] == ["brain"]


def test_words_of_no_likeness_are_answered_by_the_next_answer():
    assert ask("Xyzzy!")[0] == (0.4, "Seven.")


def test_a_new_question_ends_the_old_answer():
    assert ask("How old are you?", "What is the weather like in Lisbon?", wait=0.3) == [(0.0, "over")]


def test_connections_are_refused_and_lost_as_they_were():
    refused = {**OPENED, "event": "refused", "error": {"code": 1011, "reason": "busy"}}
    lost = {**OPENED, "connection": 2, "event": "lost", "age": 3.0, "error": {"code": 1006, "reason": "gone"}}

    async def run() -> float:
        brain = BrainPlayer([refused, {**OPENED, "connection": 2}, lost], Guesses())
        with pytest.raises(ConnectionRefused, match="busy"):
            await brain.open_live()
        live, began = await brain.open_live(), time.monotonic()
        with pytest.raises(ConnectionLost, match="gone"):
            async for _ in live.messages():
                pass
        with pytest.raises(ConnectionLost):
            await live.send_text("Still there?")
        return time.monotonic() - began

    assert virtual_time.run(run()) == pytest.approx(3.0, abs=0.01)


def test_results_of_functions_are_those_of_then():
    call = {**message(0.3), "t": 1.0, "message": {"tool_call": {"function_calls": [{"name": "lamp"}]}}}
    results = {**sent(""), "t": 1.5, "results": [{"name": "lamp", "response": {"on": True}}]}
    assert function_results([OPENED, call, results]) == {"lamp": [(0.5, {"on": True})]}


# Voice


def call(text: str, secs: float = 1.0, *, error: str = "") -> dict:
    end = {"secs": 0.5} | ({"error": {"type": error, "message": "x"}} if error else {})
    return {"kind": "voice", "t": 0.0, "text": text, "chunks": [[0.2, round(12_000 * secs)], [0.4, 12_000]], "end": end}


def speak(text: str, *calls: dict, guesses=None) -> list[tuple[float, int]]:
    async def run() -> list[tuple[float, int]]:
        sound = np.ones(24_000, np.int16)
        voice = VoicePlayer([spoken_text(each, sound) for each in calls], guesses if guesses is not None else Guesses())
        began = time.monotonic()
        return [(round(time.monotonic() - began, 2), len(pcm) // 2) async for pcm in voice.speak(text)]

    return virtual_time.run(run())


def test_the_same_text_sounds_the_same_after_the_same_time():
    assert speak("Hello.", call("Hello."), call("Bye.")) == [(0.2, 12_000), (0.4, 12_000)]


def test_another_text_is_spoken_at_the_pace_of_the_others():
    guesses = Guesses()
    spoken = speak("Hello there, you two.", call("Hello you."), guesses=guesses)
    assert spoken[0][0] == pytest.approx(0.2) and sum(count for _, count in spoken) == pytest.approx(2.1 * 24_000)
    assert [service for service, _ in guesses] == ["voice"]


def test_speech_that_was_cut_off_goes_on_for_whoever_listens_longer():
    other = call("Some other words here.")
    assert len(speak("Hello you.", call("Hello you.", error="CancelledError"), other)) >= 2


def test_a_voice_that_failed_fails_again():
    with pytest.raises(google_errors.ServiceUnavailable):
        speak("Hello.", call("Hello.", error="ServiceUnavailable"))
