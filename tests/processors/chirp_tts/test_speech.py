"""The voice's machine on a clock of its own: order, pauses, retries, horizon, and what is told of an outage."""

import heapq
import random
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.processors.chirp_tts.heard.playback import PlaybackClock
from halfcascade.processors.chirp_tts.heard.text import SpeechRate
from halfcascade.processors.chirp_tts.protocol.events import (
    Append,
    Cancel,
    Done,
    Failure,
    Fetch,
    Heard,
    KeepAlive,
    OutageBegan,
    OutageOver,
    RenewChannel,
    Skipped,
    SpeechParams,
)
from halfcascade.processors.chirp_tts.protocol.health import VoiceHealth
from halfcascade.processors.chirp_tts.protocol.speech import SpeechMachine
from tests.processors.chirp_tts.fake import RATE, speech

UNAVAILABLE = Failure("Text-to-Speech cannot be reached.", retry=True)
REFUSED = Failure("Text-to-Speech refused the credentials.")
TEXTS = ("Once upon a time there was a fox.", "It lived in a wood.", "One day it met a crow.")


@dataclass
class Voice:
    """A machine, a loudspeaker and a server, on one clock.

    Parameters:
        answer: Decides what becomes of a call: seconds to its first audio, a failure, or None for silence for ever.
    """

    answer: object = 0.3
    health: VoiceHealth = field(default_factory=VoiceHealth)
    now: float = 100.0
    done: list = field(default_factory=list)
    cancelled: set = field(default_factory=set)

    def __post_init__(self):
        self.playback = PlaybackClock()
        self.machine = SpeechMachine(
            self.playback,
            SpeechRate(0.12),
            self.health,
            language="en-US",
            sample_rate=RATE,
            keepalive_secs=1.0,
        )
        self.events: list = []
        self.serial = 0

    def say(self, *texts):
        for text in texts:
            self.machine.say(text, None, self.now)
        self.machine.end(self.now)
        return self

    def later(self, secs, what, call, *rest):
        self.serial += 1
        heapq.heappush(self.events, (self.now + secs, self.serial, what, call, rest))

    def run(self, secs=120.0):
        end = self.now + secs
        for _ in range(20_000):
            self.perform()
            if self.machine.done:
                return self
            due = self.machine.deadline()
            upcoming = [at for at in (due, self.events[0][0] if self.events else None) if at is not None]
            if not upcoming or min(upcoming) > end:
                self.now = end
                return self
            self.now = max(self.now, min(upcoming))
            if self.events and self.events[0][0] <= self.now:
                _, _, what, call, rest = heapq.heappop(self.events)
                if call not in self.cancelled:
                    getattr(self.machine, what)(call, *rest, self.now)
            else:
                self.now += 1e-6
                self.machine.tick(self.now)
        raise AssertionError("the machine never comes to rest")

    def perform(self):
        while (action := self.machine.next_action()) is not None:
            self.done.append((self.now, action))
            self.act(action)

    def act(self, action):
        if isinstance(action, Fetch):
            self.fetch(action)
        elif isinstance(action, Cancel):
            self.cancelled.add(action.call)
        elif isinstance(action, Append):
            secs = len(action.pcm) / 2 / RATE
            self.machine.played(self.playback.play(self.now, secs), secs, self.now)

    def fetch(self, fetch):
        answer = self.answer(self, fetch) if callable(self.answer) else self.answer
        if isinstance(answer, Failure):
            self.later(0.05, "failed", fetch.call, answer)
        elif answer is not None:
            samples, _ = speech(fetch.text)
            secs = answer
            for start in range(0, len(samples), RATE // 5):
                self.later(secs, "audio", fetch.call, samples[start : start + RATE // 5].tobytes())
                secs += 0.02
            self.later(secs, "finished", fetch.call)

    def of(self, kind):
        return [action for _, action in self.done if isinstance(action, kind)]

    def at(self, kind):
        return [at for at, action in self.done if isinstance(action, kind)]

    @property
    def heard(self):
        return " ".join(action.word.text.strip() for action in self.of(Heard))


def test_segments_are_heard_in_order_without_gaps_whatever_the_order_of_their_audio():
    voice = Voice(lambda v, fetch: 0.9 if fetch.call == 1 else 0.1).say(*TEXTS).run()
    assert voice.heard == " ".join(TEXTS)
    assert [f.text for f in voice.of(Fetch)] == list(TEXTS)
    assert isinstance(voice.done[-1][1], Done)
    assert not voice.of(Skipped) and not voice.of(OutageBegan)


def test_words_are_reported_when_they_are_heard():
    voice = Voice().say(TEXTS[0]).run()
    times = [action.at for action in voice.of(Heard)]
    assert times == sorted(times)
    assert all(abs(told - action.at) < 0.01 for (told, action) in voice.done if isinstance(action, Heard))


def test_only_so_much_is_synthesized_ahead():
    voice = Voice().say(*[f"Sentence number {n} is as long as all the others are." for n in range(12)])
    voice.run(2.0)
    ahead = len(voice.of(Fetch))
    assert 2 <= ahead < 6
    assert voice.run().heard.count("Sentence") == 12


@pytest.mark.parametrize("away", [0.1, 0.6, 1.5, 3.0, 5.0, 10.0, 18.0])
def test_a_voice_that_comes_back_within_its_budget_costs_no_word(away):
    voice = Voice(lambda v, fetch: UNAVAILABLE if v.now < 100.0 + away else 0.3).say(*TEXTS).run()
    assert voice.heard == " ".join(TEXTS) and not voice.of(Skipped)
    first = voice.at(Append)[0]
    assert first <= 100.0 + away + SpeechParams().longest_backoff_secs + 0.5
    if away > 3.0:
        assert voice.at(OutageBegan)[0] == pytest.approx(100.0 + SpeechParams().tell_secs, abs=0.01)
        assert voice.of(OutageOver)
        assert voice.of(RenewChannel)


@pytest.mark.parametrize("late", [2.5, 4.0, 8.0, 10.0])
def test_audio_that_comes_late_is_heard_and_asked_for_beside(late):
    voice = Voice(late).say(*TEXTS).run()
    assert voice.heard == " ".join(TEXTS) and not voice.of(Skipped)
    assert voice.at(Append)[0] == pytest.approx(100.0 + late, abs=0.01)
    assert len(voice.of(Fetch)) > len(TEXTS) and voice.of(RenewChannel)


def test_a_connection_that_swallows_calls_is_replaced_and_the_next_call_is_heard():
    voice = Voice(lambda v, fetch: 0.3 if v.of(RenewChannel) else None).say(*TEXTS).run()
    assert voice.heard == " ".join(TEXTS)
    assert voice.at(Append)[0] < 100.0 + SpeechParams().first_audio_secs + 0.5


def test_a_server_that_has_been_quick_is_soon_asked_beside():
    voice = Voice(lambda v, fetch: None if 2 < len(v.of(Fetch)) < 4 else 0.3).say(*TEXTS).run()
    third, beside = voice.at(Fetch)[2:4]
    assert beside - third == pytest.approx(SpeechParams().quick_first_audio_secs, abs=0.01)
    assert voice.heard == " ".join(TEXTS)


def test_a_server_that_has_been_slow_is_given_its_time():
    voice = Voice(1.5).say(*TEXTS).run()
    assert len(voice.of(Fetch)) == len(TEXTS)


@pytest.mark.parametrize("wait_secs", [1.0, 6.0])
def test_a_server_that_asks_to_be_left_alone_is(wait_secs):
    busy = Failure("The quota is used up.", retry=True, wait_secs=wait_secs)
    voice = Voice(lambda v, fetch: busy if len(v.of(Fetch)) == 1 else 0.3).say(TEXTS[0]).run()
    first, second = voice.at(Fetch)
    assert second - first == pytest.approx(wait_secs, abs=0.1)


def test_a_voice_that_never_comes_is_told_and_every_sentence_is_named():
    voice = Voice(UNAVAILABLE).say(*TEXTS).run()
    assert [skipped.text for skipped in voice.of(Skipped)] == list(TEXTS)
    assert voice.at(OutageBegan)[0] <= 100.0 + SpeechParams().tell_secs + 0.01
    assert isinstance(voice.done[-1][1], Done)
    # What follows in the same outage is not waited for as long again.
    assert voice.now <= 100.0 + SpeechParams().budget_secs + 2 * SpeechParams().down_budget_secs + 1.0


def test_a_refusal_is_believed_at_once_only_if_nothing_has_ever_worked():
    voice = Voice(REFUSED).say(TEXTS[0]).run()
    assert len(voice.of(Fetch)) == 1 and len(voice.of(Skipped)) == 1
    proven = VoiceHealth()
    proven.progress()
    passing = Voice(lambda v, fetch: REFUSED if len(v.of(Fetch)) <= 2 else 0.3, health=proven).say(TEXTS[0]).run()
    assert passing.heard == TEXTS[0]
    lasting = Voice(REFUSED, health=proven).say(TEXTS[0]).run()
    assert len(lasting.of(Fetch)) == SpeechParams().refusals_believed and lasting.of(Skipped)


def test_a_text_that_is_refused_is_skipped_alone():
    failure = Failure("Text-to-Speech refused a segment of text.", about_text=True)
    voice = Voice(lambda v, fetch: failure if fetch.text == TEXTS[1] else 0.3).say(*TEXTS).run()
    assert voice.heard == f"{TEXTS[0]} {TEXTS[2]}"
    assert [skipped.text for skipped in voice.of(Skipped)] == [TEXTS[1]]


def test_what_breaks_off_is_said_to_its_end_without_doubling_a_word():
    def breaks(voice, fetch):
        if fetch.call > 2:
            return 0.3
        samples, _ = speech(fetch.text)
        voice.later(0.2, "audio", fetch.call, samples[: len(samples) // 2].tobytes())
        voice.later(0.3, "failed", fetch.call, UNAVAILABLE)
        return None

    voice = Voice(breaks).say(TEXTS[0], TEXTS[1]).run()
    assert voice.heard.split() == f"{TEXTS[0]} {TEXTS[1]}".split()


def test_a_call_that_stalls_in_its_middle_is_replaced():
    def stalls(voice, fetch):
        if fetch.call > 1:
            return 0.3
        samples, _ = speech(fetch.text)
        voice.later(0.2, "audio", fetch.call, samples[: len(samples) // 2].tobytes())
        return None

    voice = Voice(stalls).say(TEXTS[0]).run()
    assert voice.heard == TEXTS[0] and voice.of(Cancel)


def test_who_waits_is_kept_alive():
    voice = Voice()
    voice.machine.say(TEXTS[0], None, voice.now)
    voice.run(20.0)
    assert len(voice.of(KeepAlive)) > 10 and not voice.machine.done


def test_what_was_not_heard_is_known_when_it_stops():
    voice = Voice().say(*TEXTS)
    voice.run(2.0)
    left = voice.machine.stop()
    assert f"{voice.heard} {' '.join(left)}" == " ".join(TEXTS)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_whatever_calls_do_every_word_is_heard_or_named_once_and_in_order(seed, count):
    rng = random.Random(seed)

    def odd(voice, fetch):
        kind = rng.choice(["fine", "fine", "late", "fails", "mute", "breaks", "empty", "silent"])
        if kind == "breaks":
            samples, _ = speech(fetch.text)
            part = samples[: int(len(samples) * rng.random())]
            voice.later(rng.uniform(0.1, 3.0), "audio", fetch.call, part.tobytes())
            if rng.random() < 0.5:
                voice.later(3.1, "failed", fetch.call, UNAVAILABLE)
            return None
        if kind == "empty":
            voice.later(0.3, "finished", fetch.call)
            return None
        if kind == "silent":
            voice.later(0.2, "audio", fetch.call, np.zeros(RATE // 2, np.int16).tobytes())
            voice.later(0.3, "finished", fetch.call)
            return None
        return {"fine": 0.3, "late": rng.uniform(1.0, 12.0), "fails": UNAVAILABLE, "mute": None}[kind]

    texts = [f"This is sentence number {n} of them all." for n in range(count)]
    voice = Voice(odd).say(*texts).run(400.0)
    assert voice.machine.done
    told = [
        action.word.text.strip() if isinstance(action, Heard) else action.text.strip()
        for _, action in voice.done
        if isinstance(action, Heard | Skipped)
    ]
    assert " ".join(told).split() == " ".join(texts).split()
