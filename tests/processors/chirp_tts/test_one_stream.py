"""Several pieces of a reply in one call: by the machine, at frame level and over the wires."""

import asyncio
from dataclasses import dataclass, field

import pytest
from google.api_core import exceptions as google
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    ErrorFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.tests.utils import SleepFrame, run_test

from halfcascade.processors.chirp_tts.protocol.events import Close, Failure, Feed, Fetch, Heard, Skipped, SpeechParams
from halfcascade.processors.chirp_tts.protocol.health import VoiceHealth
from halfcascade.processors.chirp_tts.service import ChirpTTSService
from tests.in_virtual_time import in_virtual_time
from tests.processors.chirp_tts.fake import RATE, FakeTextToSpeech, speech
from tests.processors.chirp_tts.stage import on_stage
from tests.processors.chirp_tts.test_over_the_wires import BRISK, ENGLISH, errors, finish, quick
from tests.processors.chirp_tts.test_speech import TEXTS, UNAVAILABLE, Voice
from tests.processors.chirp_tts.truth import true_onsets

PARAMS = SpeechParams(one_stream=True)
BROKEN = Failure("Text-to-Speech broke off.", retry=True)
REPLY = " ".join(TEXTS)


@dataclass
class OneStream(Voice):
    """A server of open calls.

    Parameters:
        waits: Whether it speaks only what is followed by more text or by the end of the call.
        breaks: After how much audio each call breaks off, in seconds; calls without an entry do not.
    """

    health: VoiceHealth = field(default_factory=lambda: VoiceHealth(PARAMS))
    waits: bool = False
    breaks: dict[int, float] = field(default_factory=dict)

    def __post_init__(self):
        super().__post_init__()
        self.texts: dict[int, list[str]] = {}
        self.free_at: dict[int, float] = {}
        self.sent: dict[int, float] = {}
        self.closed: set[int] = set()

    def act(self, action):
        if isinstance(action, Feed):
            self.take(action.call, action.text)
        elif isinstance(action, Close):
            self.close(action.call)
        else:
            super().act(action)

    def fetch(self, fetch):
        answer = self.answer(self, fetch) if callable(self.answer) else self.answer
        if isinstance(answer, Failure):
            self.later(0.05, "failed", fetch.call, answer)
            self.texts[fetch.call] = []
            self.closed.add(fetch.call)
            return
        self.texts[fetch.call], self.free_at[fetch.call] = [], self.now + answer
        self.take(fetch.call, fetch.text)
        if not fetch.more:
            self.close(fetch.call)

    def take(self, call, text):
        if call in self.closed:
            return
        held = self.texts[call]
        held.append(text)
        while len(held) > self.waits:
            self.speak(call, held.pop(0))

    def close(self, call):
        if call in self.closed:
            return
        for text in self.texts[call]:
            self.speak(call, text)
        if call not in self.closed:
            self.later(max(0.0, self.free_at[call] - self.now) + 0.01, "finished", call)
            self.closed.add(call)

    def speak(self, call, text):
        samples, _ = speech(text)
        at = max(self.free_at[call], self.now + 0.1)
        for start in range(0, len(samples), RATE // 5):
            if self.sent.get(call, 0.0) >= self.breaks.get(call, 1e9):
                self.later(at - self.now, "failed", call, BROKEN)
                self.closed.add(call)
                return
            self.later(at - self.now, "audio", call, samples[start : start + RATE // 5].tobytes())
            self.sent[call] = self.sent.get(call, 0.0) + 0.2
            at += 0.02
        self.free_at[call] = at

    def reply(self, *gaps_and_texts):
        """Say pieces while time passes."""
        for gap, text in gaps_and_texts:
            self.run(gap)
            self.machine.say(text, None, self.now)
        self.machine.end(self.now)
        return self.run()


def test_a_reply_goes_into_one_call_which_is_closed_with_it():
    voice = OneStream().say(*TEXTS).run()
    assert voice.heard == REPLY
    assert [action.text for action in voice.of(Fetch)] == [TEXTS[0]]
    assert [action.text for action in voice.of(Feed)] == list(TEXTS[1:])
    assert len(voice.of(Close)) == 1 and not voice.of(Skipped)


def test_words_are_reported_when_they_are_heard():
    voice = OneStream().say(*TEXTS).run()
    start, truth = voice.at(Heard)[0], []
    for text in TEXTS:
        _, onsets = speech(text)
        truth += [sum(len(speech(before)[0]) for before in TEXTS[: TEXTS.index(text)]) / RATE + at for at in onsets]
    told = [action.at - start for action in voice.of(Heard)]
    assert max(abs(a - b) for a, b in zip(told, truth, strict=True)) < 0.3


def test_a_service_that_waits_is_not_waited_for():
    """The call is closed when what is heard runs out, and what follows is said by another one."""
    voice = OneStream(waits=True).reply((0.0, TEXTS[0]), (6.0, TEXTS[1]))
    assert voice.heard == " ".join(TEXTS[:2])
    assert len(voice.of(Fetch)) == 2
    assert voice.at(Heard)[0] < 100.0 + PARAMS.lull_secs + 0.5


def test_a_call_is_closed_before_the_server_ends_it():
    voice = OneStream().reply((0.0, REPLY), (12.0, TEXTS[0]))
    assert voice.heard == f"{REPLY} {TEXTS[0]}"
    assert voice.at(Close)[0] <= 100.0 + PARAMS.idle_secs + 0.01
    assert not voice.of(Skipped)


def test_long_replies_take_several_calls():
    sentence = "Sentence number five is as long as all the others are."
    voice = OneStream().say(*[sentence] * 20).run()
    assert voice.heard.count("Sentence") == 20
    calls = voice.of(Fetch)
    assert 1 < len(calls) < 20


@pytest.mark.parametrize("after", [0.1, 1.0, 2.0])
def test_what_a_broken_call_has_not_said_is_said_by_another(after):
    voice = OneStream(breaks={1: after}).say(*TEXTS).run()
    assert voice.heard == REPLY and not voice.of(Skipped)
    assert len(voice.of(Fetch)) == 2


def test_a_voice_that_is_away_is_asked_for_all_pieces_again():
    voice = OneStream(lambda v, fetch: UNAVAILABLE if v.now < 101.0 else 0.3).say(*TEXTS).run()
    assert voice.heard == REPLY and not voice.of(Skipped)
    gone = OneStream(UNAVAILABLE).say(*TEXTS).run()
    assert " ".join(skipped.text for skipped in gone.of(Skipped)) == REPLY


PIECES = st.lists(st.tuples(st.floats(0.0, 6.0), st.sampled_from([*TEXTS, "Well,", "No.", "x" * 300])), max_size=8)


LATE = "Once upon a time there was a fox."


@settings(deadline=None, max_examples=60)
@example([(0.0, "Well,"), *[(2.0, "Well,")] * 3, *[(2.0, LATE)] * 2], False, {}, 0.5)
@given(PIECES, st.booleans(), st.dictionaries(st.integers(1, 3), st.floats(0.0, 8.0)), st.floats(0.05, 1.5))
def test_no_word_is_lost_or_said_twice_whatever_happens(pieces, waits, breaks, first_audio):
    voice = OneStream(first_audio, waits=waits, breaks=breaks).reply(*pieces)
    assert voice.machine.done
    assert voice.heard == " ".join(text for _, text in pieces)
    assert not voice.of(Skipped)
    times = [action.at for action in voice.of(Heard)]
    assert times == sorted(times)
    for call in {action.call for action in voice.of(Feed)}:
        said = [action for _, action in voice.done if isinstance(action, Fetch | Feed | Close) and action.call == call]
        assert isinstance(said[0], Fetch) and said[0].more
        assert not any(isinstance(action, Close) for action in said[:-1])


# Frames


def reply(*texts: str) -> list:
    return [LLMFullResponseStartFrame(), *map(LLMTextFrame, texts), LLMFullResponseEndFrame()]


def heard(frames) -> list[str]:
    return [frame.text for frame in frames if isinstance(frame, TTSTextFrame)]


@in_virtual_time
async def test_the_inputs_of_one_call_are_the_reply():
    server = FakeTextToSpeech()
    voice = ChirpTTSService(client=server, speech=PARAMS)
    down, _ = await run_test(
        voice, frames_to_send=reply("Well, hello there my ", "friend, how are you? I am ", "fine.")
    )
    assert heard(down) == ["Well,", "hello", "there", "my", "friend,", "how", "are", "you?", "I", "am", "fine."]
    (call,) = server.spoken
    assert len(call.inputs) > 1 and call.text == "Well, hello there my friend, how are you? I am fine."
    assert sum(isinstance(frame, TTSStoppedFrame) for frame in down) == 1


@in_virtual_time
async def test_a_phrase_has_a_call_of_its_own():
    server = FakeTextToSpeech()
    voice = ChirpTTSService(client=server, speech=PARAMS)
    down, _ = await run_test(voice, frames_to_send=[TTSSpeakFrame("Good morning."), *reply("Well. ", "Hello there.")])
    assert heard(down) == ["Good", "morning.", "Well.", "Hello", "there."]
    assert server.texts == ["Good morning.", "Well. Hello there."]


@in_virtual_time
async def test_what_is_lost_is_asked_for_again_from_its_word_on():
    server = FakeTextToSpeech()
    server.break_after, server.break_with = [0.8], google.ServiceUnavailable("gone")
    voice = ChirpTTSService(client=server, speech=PARAMS)
    down, up = await run_test(voice, frames_to_send=reply("Alpha bravo charlie. ", "Delta. ", "Golf."))
    assert " ".join(heard(down)) == "Alpha bravo charlie. Delta. Golf."
    assert len(server.texts) == 2 and server.texts[0].endswith(server.texts[1])
    assert not any(isinstance(frame, ErrorFrame) for frame in up)


@in_virtual_time
async def test_a_voice_that_cannot_work_claims_nothing():
    server = FakeTextToSpeech()
    server.fail(google.PermissionDenied("API disabled"), times=9)
    voice = ChirpTTSService(client=server, speech=PARAMS)
    down, up = await run_test(voice, frames_to_send=reply("One thing. ", "Another thing."))
    assert not heard(down)
    assert sum(isinstance(frame, ErrorFrame) for frame in up) == 1
    assert " ".join(voice.ledger.texts("skipped")) == "One thing. Another thing."


@in_virtual_time
async def test_an_interruption_ends_a_call_that_is_open():
    server = FakeTextToSpeech()
    voice = ChirpTTSService(client=server, speech=PARAMS)
    began = reply("Well, hello there. ", "How are you?")[:-1]
    down, _ = await run_test(voice, frames_to_send=[*began, SleepFrame(0.2), InterruptionFrame(), SleepFrame(0.1)])
    (call,) = server.spoken
    assert call.cancelled and not heard(down)
    assert " ".join(voice.ledger.texts("cut")) == "Well, hello there. How are you?"


# Over the wires


async def test_the_conversation_holds_what_was_said_by_one_call(google_emulator_factory):
    server = await google_emulator_factory(profile=BRISK)
    async with on_stage(ChirpTTSService(settings=quick(), speech=PARAMS)) as stage:
        await stage.reply(ENGLISH, chars_per_second=240)
        await finish(stage)
        assert stage.said == [ENGLISH] and not errors(stage)
        said = server.log.find("tts", "text")
        assert len(said) > 1 and len({entry.stream for entry in said}) == 1


@pytest.mark.slow
async def test_after_an_interruption_it_holds_what_was_heard(google_emulator_factory):
    server = await google_emulator_factory(profile=BRISK)
    voice = "en-US-Chirp3-HD-Charon"
    async with on_stage(ChirpTTSService(speech=PARAMS)) as stage:
        await stage.reply(ENGLISH, chars_per_second=120)
        await stage.watcher.wait_for(BotStartedSpeakingFrame, "Loudspeaker", 1)
        # Into the second sentence.
        await asyncio.sleep(3.2)
        at = await stage.interrupt()
        await finish(stage)
        played = stage.loudspeaker.heard_between(0, at)
        truth = len(true_onsets(server.mind.speaker, voice, stage.tts.ledger.texts("sent"), played))
        assert ENGLISH.startswith(stage.said[0])
        assert abs(len(stage.said[0].split()) - truth) <= 1
