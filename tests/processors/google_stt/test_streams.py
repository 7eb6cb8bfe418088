"""The stream machine against a model of a recognizer: whatever fails, every word comes once and in order."""

import heapq
import itertools
import random
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from halfcascade.processors.google_stt.protocol.events import (
    AbortStream,
    Believed,
    FinalText,
    InterimText,
    LikelyComplete,
    OpenStream,
    OutageBegan,
    OutageOver,
    RenewChannel,
    Result,
    SpeechCovered,
    StreamParams,
    WordsLost,
)
from halfcascade.processors.google_stt.protocol.streams import SpeechStreams
from halfcascade.processors.google_stt.stream import MESSAGE_SECS
from tests.processors.google_stt.model import BLOCK, RATE, Recognizer, Word, speak

BLOCK_SECS = BLOCK / RATE


@dataclass
class Server:
    """Recognizes on virtual time, answers late, and fails as told."""

    machine: SpeechStreams
    vocabulary: dict[int, int]
    rng: random.Random
    latency: tuple[float, float] = (0.02, 0.3)
    drop: float = 0.0
    early_end: float = 0.0
    endpoint: float = 0.0
    stalls: float = 0.0
    """How likely all that a stream says comes seconds late, or never."""
    streams: dict[int, Recognizer] = field(default_factory=dict)
    reported: dict[int, int] = field(default_factory=dict)
    stalled: dict[int, float] = field(default_factory=dict)
    queue: list = field(default_factory=list)
    serial: itertools.count = field(default_factory=itertools.count)
    opened: int = 0

    def open(self, stream: int) -> None:
        self.streams[stream] = Recognizer(self.vocabulary)
        self.reported[stream] = 0
        if self.rng.random() < self.stalls:
            self.stalled[stream] = self.rng.choice([0.4, 0.9, 1.5, 4.0, 1e6])
        self.opened += 1

    def later(self, now: float, stream: int, what: str, payload=None) -> None:
        at = now + self.rng.uniform(*self.latency) + self.stalled.get(stream, 0.0)
        # One stream's answers keep their order, as gRPC's do.
        at = max([at, *(item[0] for item in self.queue if item[2] == stream)])
        heapq.heappush(self.queue, (at, next(self.serial), stream, what, payload))

    def step(self, now: float) -> None:
        for stream, heard in list(self.streams.items()):
            while audio := self.machine.take(stream, 15_000, MESSAGE_SECS):
                heard.audio += audio
            if self.machine.exhausted(stream, now):
                self.results(now, stream, final=True)
                self.later(now, stream, "end")
                del self.streams[stream]
            elif self.rng.random() < self.drop:
                self.later(now, stream, "fail")
                del self.streams[stream]
            elif self.rng.random() < self.early_end:
                self.results(now, stream, final=self.rng.random() < 0.5)
                self.later(now, stream, "end")
                del self.streams[stream]
            elif self.rng.random() < 0.1:
                self.results(now, stream, final=self.rng.random() < self.endpoint)
        while self.queue and self.queue[0][0] <= now:
            _, _, stream, what, payload = heapq.heappop(self.queue)
            if what == "results":
                self.machine.received(stream, payload, now)
            else:
                self.machine.ended(stream, what == "fail", now)

    def results(self, now: float, stream: int, final: bool) -> None:
        words = self.streams[stream].words()[self.reported[stream] :]
        if not words:
            return
        if final:
            self.reported[stream] += len(words)
        end = words[-1][1]
        half = len(words) // 2
        pieces = [words] if final or half == 0 else [words[:half], words[half:]]
        payload = [Result(" ".join(w for w, _ in piece), final, piece[-1][1], "en-US") for piece in pieces]
        assert payload[-1].end == end
        self.later(now, stream, "results", payload)


@dataclass
class Ears:
    """Runs the machine on virtual time over one recording with its voice activity."""

    params: StreamParams = field(default_factory=StreamParams)
    seed: int = 0
    faults: dict = field(default_factory=dict)
    tentative: bool = True
    false_pauses: float = 0.0
    faint: int = 0
    """So many-th words are too faint for who looks for pauses by the level."""
    unheard: frozenset[int] = frozenset()
    """Words that voice activity detection takes for silence."""
    events: list = field(default_factory=list)
    now: float = 100.0

    def run(self, samples: np.ndarray, tail: float = 8.0) -> None:
        vocabulary = {int(v): int(np.count_nonzero(samples == v)) for v in np.unique(samples) if v}
        self.machine = SpeechStreams(RATE, self.params)
        self.server = Server(self.machine, vocabulary, random.Random(self.seed), **self.faults)
        samples = np.concatenate([samples, np.zeros(round(tail * RATE), "<i2")])
        loud = quiet = low = 0.0
        paused, paused_at = False, 0.0
        for i in range(0, len(samples) - BLOCK + 1, BLOCK):
            block = samples[i : i + BLOCK]
            self.now += BLOCK_SECS
            self.machine.audio(block.tobytes(), self.now)
            sounds = bool(np.any(block)) and not self.unheard.issuperset({int(block.max()), int(block.min())} - {0})
            faint = bool(self.faint) and not np.any(block % self.faint)
            low = low + BLOCK_SECS if faint or not sounds else 0.0
            if sounds:
                loud, quiet = loud + BLOCK_SECS, 0.0
                if not self.machine.speaking and loud >= 0.15:
                    self.machine.speech_started(loud, self.now)
                elif paused and self.now - paused_at > 0.05 and not faint:
                    self.machine.speech_resumed(BLOCK_SECS, self.now)
                    paused = False
                elif self.faint and self.machine.speaking and not paused and low >= 0.08:
                    self.machine.speech_paused(low, self.now)
                    paused, paused_at = True, 0.0
                elif self.machine.speaking and not paused and self.server.rng.random() < self.false_pauses:
                    self.machine.speech_paused(BLOCK_SECS, self.now)
                    paused, paused_at = True, self.now
            else:
                if paused and paused_at:
                    # A detector that has heard sound after a pause says so before it calls the next silence.
                    self.machine.speech_resumed(BLOCK_SECS, self.now)
                    paused = False
                loud, quiet = 0.0, quiet + BLOCK_SECS
                if self.machine.speaking and quiet >= 0.25:
                    self.machine.speech_stopped(quiet, self.now)
                    paused = False
                elif self.tentative and self.machine.speaking and low >= 0.08 and not paused:
                    self.machine.speech_paused(low, self.now)
                    paused, paused_at = True, 0.0
            self.server.step(self.now)
            if (deadline := self.machine.deadline) is not None and deadline <= self.now:
                self.machine.tick(self.now)
            self.drain()

    def drain(self) -> None:
        while (event := self.machine.next_event()) is not None:
            self.events.append((self.now, event))
            if isinstance(event, OpenStream):
                self.server.open(event.stream)
            elif isinstance(event, AbortStream):
                self.server.streams.pop(event.stream, None)

    def of(self, kind: type) -> list:
        return [event for _, event in self.events if isinstance(event, kind)]

    @property
    def heard(self) -> list[str]:
        return " ".join(final.text for final in self.of(FinalText)).split()


def words_of(lengths: list[int]) -> list[Word]:
    return [Word(i + 1, length) for i, length in enumerate(lengths)]


def silence(secs: float) -> np.ndarray:
    return np.zeros(round(secs * RATE), "<i2")


# The same examples every time, and no search for a smaller one: each runs a whole conversation.
BOUNDED = settings(deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
WORD_LENGTHS = st.lists(st.integers(3_200, 11_000), min_size=1, max_size=8)
# Bursts of words, and the silence after each: pauses within a turn, and ends of turns.
TURNS = st.lists(st.tuples(WORD_LENGTHS, st.sampled_from([0.1, 0.14, 0.3, 0.6, 1.4, 3.0])), min_size=1, max_size=5)


def build(turns: list[tuple[list[int], float]], gap: int = 0) -> tuple[np.ndarray, list[str]]:
    words = words_of([length for lengths, _ in turns for length in lengths])
    rest, pieces = iter(words), [silence(0.6)]
    for lengths, pause in turns:
        pieces += [speak([next(rest) for _ in lengths], gap), silence(pause)]
    return np.concatenate(pieces), [word.text for word in words]


@settings(BOUNDED, max_examples=80)
@given(TURNS, st.integers(0, 10_000), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.3]))
def test_no_word_is_lost_or_doubled(turns, seed, tentative, continuous, endpoint):
    samples, said = build(turns)
    ears = Ears(StreamParams(continuous=continuous), seed, {"endpoint": endpoint}, tentative)
    ears.run(samples)
    assert ears.heard == said
    assert ears.of(FinalText)[-1].finalized or ears.of(SpeechCovered)


@settings(BOUNDED, max_examples=80)
@given(TURNS, st.integers(0, 10_000), st.sampled_from([0.002, 0.01, 0.03]), st.sampled_from([0.0, 0.01]), st.booleans())
def test_no_word_is_lost_or_doubled_when_streams_fail(turns, seed, drop, early_end, continuous):
    samples, said = build(turns)
    ears = Ears(StreamParams(continuous=continuous), seed, {"drop": drop, "early_end": early_end, "endpoint": 0.1})
    ears.run(samples, tail=20.0)
    assert ears.heard == said


@settings(BOUNDED, max_examples=30)
@given(TURNS, st.integers(0, 10_000), st.sampled_from([0.2, 0.5, 0.8]), st.sampled_from([0.0, 0.01]), st.booleans())
def test_no_word_is_lost_or_doubled_whichever_rival_answers_first(turns, seed, stalls, drop, continuous):
    samples, said = build(turns)
    params = StreamParams(continuous=continuous, give_up_secs=60.0, silent_secs=2.0)
    ears = Ears(params, seed, {"stalls": stalls, "drop": drop, "endpoint": 0.1})
    ears.run(samples, tail=30.0)
    assert ears.heard == said


@settings(BOUNDED, max_examples=80)
@given(TURNS, st.integers(0, 10_000), st.sampled_from([0.02, 0.1]), st.sampled_from([0.0, 0.01]), st.booleans())
def test_a_pause_noticed_inside_a_word_does_not_hurt_it(turns, seed, false_pauses, drop, continuous):
    samples, said = build(turns)
    faults = {"latency": (0.06, 0.3), "drop": drop, "endpoint": 0.1}
    ears = Ears(StreamParams(continuous=continuous), seed, faults, false_pauses=false_pauses)
    ears.run(samples, tail=20.0)
    assert ears.heard == said


FAINT_LENGTHS = st.lists(st.integers(1_300, 9_000), min_size=1, max_size=8)


@settings(BOUNDED, max_examples=30)
@given(
    st.lists(st.tuples(FAINT_LENGTHS, st.sampled_from([0.3, 0.6, 1.4])), min_size=1, max_size=5),
    st.integers(0, 10_000),
    st.sampled_from([2, 3, 5]),
    st.sampled_from([0, 800, 1_600, 2_400]),
    st.booleans(),
)
@example([([8_063, 2_704, 3_412], 0.3), ([8_830, 2_767, 2_753, 8_911, 9_000, 1_595], 0.6)], 489, 5, 800, True)
@example(
    [([6_664, 5_770, 6_986, 2_066], 0.3), ([2_519, 7_265, 2_806, 4_821, 4_029, 6_861], 0.3)], 8_623, 2, 1_600, True
)
def test_words_that_are_too_faint_for_the_level_are_sent_too(turns, seed, faint, gap, continuous):
    # A word that ends with the very block in which its pause is noticed has been sent.
    turns = [([3_200, *(max(length, 2_900 - gap) for length in lengths)], pause) for lengths, pause in turns]
    samples, said = build(turns, gap)
    ears = Ears(StreamParams(continuous=continuous), seed, {"endpoint": 0.1}, faint=faint)
    ears.run(samples)
    assert ears.heard == said


# Pauses within a turn, each with a syllable that is too faint for voice activity detection: its place, and its length.
PAUSES = st.lists(
    st.tuples(st.floats(0.0, 1.0), st.integers(1_300, 5_000), st.floats(0.5, 1.9)), min_size=1, max_size=4
)


@settings(BOUNDED, max_examples=40)
@given(PAUSES, st.integers(0, 10_000), st.sampled_from([0.0, 0.01]), st.booleans(), st.booleans())
def test_a_syllable_that_nobody_notices_in_a_pause_is_recognized_once(pauses, seed, drop, tentative, continuous):
    bursts, unheard, pieces = itertools.count(1, 2), [], [silence(0.6)]
    for share, length, secs in pauses:
        # What is still going on when the pause is noticed is cut there.
        first = round((0.3 if not tentative else 0.14) * RATE)
        free = max(0, round(secs * RATE) - first - length)
        before = first + round(share * free)
        burst = next(bursts)
        faint = Word(burst + 1, length)
        unheard.append(faint.number)
        pieces += [
            speak([Word(burst, 6_400)]),
            silence(before / RATE),
            speak([faint]),
            silence((free + first - before) / RATE),
        ]
    pieces += [speak([Word(last := next(bursts), 6_400)]), silence(0.5)]
    ears = Ears(
        StreamParams(continuous=continuous),
        seed,
        {"drop": drop, "endpoint": 0.1},
        tentative,
        unheard=frozenset(unheard),
    )
    ears.run(np.concatenate(pieces), tail=12.0)
    assert ears.heard == [f"word{number}" for number in range(1, last + 1)]


@pytest.mark.parametrize("speaks", ["between", "still", "before"])
def test_the_voice_of_the_bot_in_a_pause_is_sent_no_further_back_than_usual(speaks):
    machine = SpeechStreams(RATE)
    machine.bot_speaks(True)
    machine.audio(silence(1.0).tobytes(), 0.0)
    if speaks == "before":
        machine.bot_speaks(False)
    machine.speech_started(0.2, 0.0)
    machine.speech_stopped(0.2, 0.1)
    machine.audio(silence(1.2).tobytes(), 1.3)
    if speaks == "between":
        machine.bot_speaks(False)
    machine.speech_started(0.2, 1.3)
    sent = len(machine.take(1, 1_000_000)) / 2 / RATE
    assert sent == pytest.approx(1.2 if speaks == "before" else 0.7, abs=BLOCK_SECS)


@settings(BOUNDED, max_examples=60)
@given(
    st.lists(st.integers(3_200, 9_000), min_size=8, max_size=40),
    st.integers(0, 10_000),
    st.sampled_from([0, 480]),
    st.sampled_from([0.0, 0.03]),
    st.sampled_from([0, 4]),
)
def test_no_word_is_lost_or_doubled_when_a_stream_is_replaced_in_mid_speech(lengths, seed, gap, false_pauses, faint):
    samples, said = build([(lengths, 1.0)], gap)
    params = StreamParams(max_stream_secs=2.0, rollover_grace_secs=1.0)
    ears = Ears(params, seed, {"endpoint": 0.1}, false_pauses=false_pauses, faint=faint)
    ears.run(samples)
    assert ears.heard == said
    assert ears.server.opened > 1 or len(samples) < 4 * RATE


def test_the_final_that_covers_the_turn_is_the_only_finalized_one():
    samples, said = build([([4_000, 4_000], 0.14), ([4_000], 0.14), ([4_000, 4_000], 2.0)])
    ears = Ears(faults={"latency": (0.2, 0.2)})
    ears.run(samples)
    finals = ears.of(FinalText)
    assert ears.heard == said
    assert [final.finalized for final in finals] == [False] * (len(finals) - 1) + [True]


def test_a_stream_is_half_closed_at_the_pause_and_its_final_is_used_at_the_end_of_speech():
    samples, said = build([([8_000], 2.0)])
    ears = Ears(faults={"latency": (0.1, 0.1)})
    ears.run(samples)
    at, final = next((at, event) for at, event in ears.events if isinstance(event, FinalText))
    end_of_speech = 100.0 + (0.6 * RATE + 8_000) / RATE
    assert final == FinalText(said[0], "en-US", True)
    assert at - end_of_speech == pytest.approx(0.25, abs=2 * BLOCK_SECS)


def test_nothing_is_sent_while_nobody_speaks():
    ears = Ears()
    ears.run(silence(30.0))
    assert ears.events == []


def test_continuous_streams_are_replaced_in_silence():
    ears = Ears(StreamParams(continuous=True, max_stream_secs=5.0))
    ears.run(silence(16.0), tail=0.0)
    assert ears.server.opened == 4
    assert ears.of(FinalText) == []


def test_interims_hold_head_and_tail_and_all_that_is_not_final_yet():
    machine = SpeechStreams(RATE)
    machine.audio(silence(0.5).tobytes(), 0.0)
    machine.speech_started(0.2, 0.0)
    machine.received(0, [Result("to be", False, 0.2), Result(" or not", False, 0.3)], 0.1)
    machine.received(0, [Result("to be or not", True, 0.3), Result("to", False, 0.4)], 0.2)
    events = list(iter(machine.next_event, None))
    assert [e.text for e in events if isinstance(e, InterimText)] == ["to be or not", "to be or not to"]


def test_silence_after_uncertain_words_that_cover_the_speech_is_reported():
    machine = SpeechStreams(RATE)
    machine.audio(silence(1.0).tobytes(), 0.0)
    machine.speech_started(0.2, 0.0)
    machine.take(0, 100_000)
    machine.received(0, [Result("how are you", False, 0.9)], 0.1)
    machine.speech_paused(0.1, 0.2)
    assert LikelyComplete("how are you", "") in list(iter(machine.next_event, None))


def test_audio_is_held_back_until_it_makes_a_message_and_sent_at_once_at_an_endpoint():
    machine = SpeechStreams(RATE)
    machine.audio(silence(1.0).tobytes(), 0.0)
    machine.speech_started(0.2, 0.0)
    machine.take(0, 100_000, MESSAGE_SECS)
    lengths = []
    for block in range(12):
        machine.audio(silence(0.02).tobytes(), 0.02 * block)
        assert machine.has_to_send(0, 0.0)
        assert machine.has_to_send(0, MESSAGE_SECS) == (block % 5 == 4)
        lengths.append(len(machine.take(0, 100_000, MESSAGE_SECS)) / 2 / RATE)
    assert lengths == pytest.approx([0.1 if block % 5 == 4 else 0.0 for block in range(12)])
    machine.speech_paused(0.06, 0.3)
    assert machine.has_to_send(0, MESSAGE_SECS)
    assert len(machine.take(0, 100_000, MESSAGE_SECS)) / 2 / RATE == pytest.approx(0.04)
    assert machine.exhausted(0, 0.3)


def test_a_flush_that_brings_no_words_is_reported():
    machine = SpeechStreams(RATE)
    machine.audio(silence(1.0).tobytes(), 0.0)
    machine.speech_started(0.2, 0.0)
    machine.speech_stopped(0.2, 0.5)
    machine.take(0, 100_000)
    assert machine.exhausted(0, 0.5)
    machine.ended(0, False, 0.7)
    assert list(iter(machine.next_event, None)) == [OpenStream(0), SpeechCovered()]


def test_a_stream_that_never_answers_counts_as_dropped():
    machine = SpeechStreams(RATE, StreamParams(flush_timeout_secs=1.0))
    machine.audio(silence(1.0).tobytes(), 0.0)
    machine.speech_started(0.2, 0.0)
    machine.speech_stopped(0.2, 0.5)
    machine.take(0, 100_000)
    machine.exhausted(0, 0.5)
    assert machine.deadline == pytest.approx(1.5)
    machine.tick(1.6)
    assert list(iter(machine.next_event, None)) == [OpenStream(0), AbortStream(0), RenewChannel(), OpenStream(1)]


def test_words_that_never_became_final_are_used_when_the_stream_ends():
    machine = SpeechStreams(RATE)
    machine.audio(silence(1.0).tobytes(), 0.0)
    machine.speech_started(0.2, 0.0)
    machine.received(0, [Result("good bye", False, 0.5, "en-GB")], 0.3)
    machine.speech_stopped(0.2, 0.5)
    machine.take(0, 100_000)
    machine.exhausted(0, 0.5)
    machine.ended(0, False, 0.7)
    assert FinalText("good bye", "en-GB", True) in list(iter(machine.next_event, None))


@pytest.mark.parametrize("wait_secs", [1.0, 7.5])
def test_a_server_that_asks_to_be_left_alone_is(wait_secs):
    machine = SpeechStreams(RATE)
    machine.audio(silence(1.0).tobytes(), 0.0)
    machine.speech_started(0.2, 0.0)
    machine.ended(0, True, 10.0, wait_secs=wait_secs)
    opened = [event for event in iter(machine.next_event, None) if isinstance(event, OpenStream)]
    assert opened == [OpenStream(0)]
    machine.tick(10.0 + wait_secs - 0.01)
    assert machine.next_event() is None
    machine.tick(10.0 + wait_secs)
    assert machine.next_event() == OpenStream(1)


def test_retries_back_off():
    machine = SpeechStreams(RATE)
    machine.audio(silence(1.0).tobytes(), 0.0)
    machine.speech_started(0.2, 0.0)
    delays, now = [], 0.0
    for stream in range(6):
        machine.ended(stream, True, now)
        failed_at = now
        while OpenStream(stream + 1) not in list(iter(machine.next_event, None)):
            now = machine.deadline or now
            machine.tick(now)
        delays.append(now - failed_at)
    assert delays == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.5, 0.5])
    assert machine.failures == 6
    machine.received(6, [Result("hi", False)], now)
    machine.ended(6, True, now)
    assert OpenStream(7) in list(iter(machine.next_event, None))  # whatever works begins the count anew


def test_what_an_outage_cost_is_told_when_it_is_given_up():
    params = StreamParams(max_stream_secs=3.0, rollover_grace_secs=1.0, give_up_secs=2.0)
    machine = SpeechStreams(RATE, params)
    machine.speech_started(0.0, 0.0)
    for second in range(10):
        machine.audio(silence(1.0).tobytes(), float(second))
        machine.ended(second, True, float(second))
        machine.tick(second + 0.99)
    lost = [event.secs for event in iter(machine.next_event, None) if isinstance(event, WordsLost)]
    # Two segments of four seconds, which overlap by one and a half, were given up two seconds after their ends.
    assert sum(lost) == pytest.approx(7.0)


def test_a_segment_that_broke_after_all_its_time_is_replayed_from_its_beginning():
    machine = SpeechStreams(
        RATE, StreamParams(max_stream_secs=2.0, rollover_grace_secs=0.5, silent_secs=60.0, flush_timeout_secs=60.0)
    )
    machine.speech_started(0.0, 0.0)
    sound = np.arange(6 * RATE, dtype=np.int16)
    for tenth in range(60):
        machine.audio(sound[tenth * RATE // 10 : (tenth + 1) * RATE // 10].tobytes(), tenth / 10)
    machine.ended(0, True, 6.0)
    events = list(iter(machine.next_event, None))
    again = [event.stream for event in events if isinstance(event, OpenStream)][-1]
    assert machine.take(again, 15_000) == sound[:7_500].tobytes()
    assert not [event for event in events if isinstance(event, WordsLost)]


# What lasts, hangs or comes late.


def spoken(machine: SpeechStreams, at: float) -> None:
    """A second of speech, and the silence that ends it."""
    machine.audio(silence(0.2).tobytes(), at)
    machine.speech_started(0.2, at)
    machine.audio(silence(1.0).tobytes(), at + 1.0)
    machine.speech_stopped(0.2, at + 1.2)


@dataclass
class Line:
    """A recognizer that is away for a while: it fails streams, or takes their audio and says nothing."""

    away: float
    mute: bool
    per_channel: bool = False
    """Whether only the connection is mute: streams on the next one are served."""
    since: float = 0.0
    words: int = 0

    def run(self, machine: SpeechStreams, until: float) -> list[tuple[float, object]]:
        """Let time pass, a turn every five seconds."""
        events: list[tuple[float, object]] = []
        channel, now, turn = 0, 0.0, 0.0
        opened: dict[int, int] = {}
        while now < until:
            now = round(now + 0.05, 2)
            if now >= turn and turn < until - 12.0:
                spoken(machine, now)
                turn += 5.0
            machine.tick(now)
            for stream, on in list(opened.items()):
                while machine.take(stream, 15_000):
                    pass
                exhausted = machine.exhausted(stream, now)
                down = (on == 0 if self.per_channel else now < self.away) and now >= self.since
                if down and not self.mute:
                    del opened[stream]
                    machine.ended(stream, True, now)
                elif not down and exhausted:
                    self.words += 1
                    machine.received(stream, [Result(f"word{self.words}", True)], now)
                    machine.ended(stream, False, now)
                    opened.pop(stream, None)
            while (event := machine.next_event()) is not None:
                events.append((now, event))
                if isinstance(event, OpenStream):
                    opened[event.stream] = channel
                elif isinstance(event, AbortStream):
                    opened.pop(event.stream, None)
                elif isinstance(event, RenewChannel):
                    channel += 1
        return events


def finals(events: list[tuple[float, object]]) -> list[str]:
    return [event.text for _, event in events if isinstance(event, FinalText)]


def test_a_connection_that_swallows_audio_is_replaced_and_no_turn_is_lost():
    events = Line(away=0.0, mute=True, per_channel=True).run(SpeechStreams(RATE), 40.0)
    assert len(finals(events)) == 6
    first = next(at for at, event in events if isinstance(event, FinalText))
    assert first < 1.2 + 2.5 + 0.5  # speech, the time a flush may take, and the next stream
    assert not [event for _, event in events if isinstance(event, WordsLost | OutageBegan)]


@pytest.mark.parametrize("mute", [True, False], ids=["mute", "failing"])
@pytest.mark.parametrize("away", [2.0, 8.0, 20.0])
def test_a_recognizer_that_comes_back_within_twenty_seconds_costs_no_turn(mute, away):
    events = Line(away, mute).run(SpeechStreams(RATE), 50.0)
    assert len(finals(events)) == 8 and not [event for _, event in events if isinstance(event, WordsLost)]
    back = next(at for at, event in events if isinstance(event, FinalText))
    assert back <= away + (2.6 if mute else 1.1)
    told = [at for at, event in events if isinstance(event, OutageBegan)]
    if away > 5.0:
        assert told[0] <= 1.2 + 3.1  # the end of the first turn, and the wait
        assert [event for _, event in events if isinstance(event, OutageOver)]
    for at, event in events:
        if isinstance(event, OutageOver):
            assert at >= away


@pytest.mark.parametrize("secs", [2.0, 8.0, 18.0])
def test_a_recognizer_that_was_quick_is_missed_soon_and_found_soon(secs):
    since = 12.0
    events = Line(since + secs, mute=True, since=since).run(SpeechStreams(RATE), 60.0)
    assert len(finals(events)) == 10 and not [event for _, event in events if isinstance(event, WordsLost)]
    back = next(at for at, event in events if isinstance(event, FinalText) and at > since)
    end_of_turn = 16.3  # the first turn that begins in the outage
    assert back <= max(since + secs + 1.8, end_of_turn + 1.1)


def test_a_recognizer_that_is_only_slow_for_once_loses_nothing():
    machine = SpeechStreams(RATE)
    Line(away=0.0, mute=False).run(machine, 24.0)
    spoken(machine, 100.0)
    opened: dict[int, float] = {}
    events: list[object] = []
    for tick in range(600):
        now = 101.2 + tick * 0.01
        machine.tick(now)
        for stream, at in opened.items():
            machine.take(stream, 1_000_000)
            if machine.exhausted(stream, now) and now >= at + 1.57:
                machine.received(stream, [Result("slow", True)], now)
                machine.ended(stream, False, now)
        for event in iter(machine.next_event, None):
            events.append(event)
            if isinstance(event, OpenStream):
                opened[event.stream] = now
    assert [event.text for event in events if isinstance(event, FinalText)] == ["slow"]
    assert not [event for event in events if isinstance(event, WordsLost | OutageBegan)]
    assert len(opened) <= 1 + StreamParams().rivals


def test_streams_race_while_none_answers_and_not_too_many():
    machine = SpeechStreams(RATE)
    Line(away=0.0, mute=False).run(machine, 24.0)
    for turn in range(4):
        spoken(machine, 100.0 + 2.0 * turn)
    opened, alive, renewals = [], set(), 0
    for tick in range(1_200):
        now = 107.2 + tick * 0.01
        machine.tick(now)
        for event in iter(machine.next_event, None):
            if isinstance(event, OpenStream):
                opened.append(now)
                alive.add(event.stream)
            elif isinstance(event, AbortStream):
                alive.remove(event.stream)
            renewals += isinstance(event, RenewChannel)
        assert len(alive) < StreamParams().rivals + 4  # every turn has a stream, and only the oldest has more
        if (deadline := machine.deadline) is not None:
            assert deadline > now
    assert max(b - a for a, b in itertools.pairwise(opened[4:])) < 0.8 and renewals > 15

    # The newest gets through: it alone goes on, and what else waits is asked at once.
    won = max(alive)
    machine.received(won, [Result("won", True)], now)
    machine.tick(now)
    events = list(iter(machine.next_event, None))
    assert AbortStream(won) not in events and len([e for e in events if isinstance(e, OpenStream)]) >= 2
    assert RenewChannel() not in events
    for stream in alive - {won}:
        machine.received(stream, [Result("late", True)], now)
    assert not [event for event in iter(machine.next_event, None) if isinstance(event, FinalText)]


@pytest.mark.parametrize("flush", [0.1, 0.29, 0.4, 0.7])
@pytest.mark.parametrize("heard", [False, True], ids=["silent", "heard"])
def test_a_stream_that_said_nothing_is_doubted_before_it_is_given_up(flush, heard):
    machine = SpeechStreams(RATE)
    for turn in range(3):
        spoken(machine, 10.0 * turn)
        while machine.take(turn, 15_000):
            pass
        assert machine.exhausted(turn, 10.0 * turn + 1.2)
        machine.received(turn, [Result("word", True)], 10.0 * turn + 1.2 + flush)
        machine.ended(turn, False, 10.0 * turn + 1.2 + flush)
    spoken(machine, 30.0)
    while machine.take(3, 15_000):
        pass
    if heard:
        machine.received(3, [Result("wor", False)], 31.0)
    assert machine.exhausted(3, 31.2)
    list(iter(machine.next_event, None))
    now = 31.2
    events: list[object] = []
    while not [event for event in events if isinstance(event, OpenStream)]:
        now += 0.01
        machine.tick(now)
        events += list(iter(machine.next_event, None))
    given_up = min(2.5, max(1.0, 3.0 * flush))
    doubted = min(given_up, max(0.6, 2.0 * flush))
    assert now - 31.2 == pytest.approx(given_up if heard else doubted, abs=0.03)
    assert (AbortStream(3) in events) == heard
    # Whichever answers, it is heard once.
    first, second = (3, 4) if not heard else (4, 3)
    while machine.take(4, 15_000):
        pass
    machine.exhausted(4, now)
    machine.received(first, [Result("word", True)], now + 0.1)
    machine.received(second, [Result("word", True)], now + 0.1)
    machine.ended(first, False, now + 0.1)
    machine.ended(second, False, now + 0.1)
    assert [e.text for e in iter(machine.next_event, None) if isinstance(e, FinalText)] == ["word"]


def test_a_server_that_asks_to_be_left_alone_gets_no_rivals():
    machine = SpeechStreams(RATE)
    Line(away=0.0, mute=False).run(machine, 24.0)
    spoken(machine, 100.0)
    now, alive = 101.2, set()
    while len(alive) < 2:
        now += 0.01
        machine.tick(now)
        for event in iter(machine.next_event, None):
            if isinstance(event, OpenStream):
                alive.add(event.stream)
            elif isinstance(event, AbortStream):
                alive.discard(event.stream)
    machine.ended(min(alive), True, now, wait_secs=7.0)
    asked_at = now
    while not [event for event in iter(machine.next_event, None) if isinstance(event, OpenStream)]:
        now += 0.01
        machine.tick(now)
    assert now >= asked_at + 7.0


def test_a_recognizer_that_never_comes_back_is_told_of_at_every_turn_with_what_was_lost():
    events = Line(1_000.0, mute=True).run(SpeechStreams(RATE), 60.0)
    told = [at for at, event in events if isinstance(event, OutageBegan)]
    assert len(told) == 10
    lost = [event.secs for _, event in events if isinstance(event, WordsLost)]
    assert len(lost) >= 5 and min(lost) > 1.0


def test_a_refusal_is_believed_at_once_only_if_nothing_has_ever_worked():
    fresh = SpeechStreams(RATE)
    spoken(fresh, 0.0)
    fresh.ended(0, True, 1.3, refused=True)
    assert Believed() in list(iter(fresh.next_event, None))

    proven = SpeechStreams(RATE)
    spoken(proven, 0.0)
    while proven.take(0, 15_000):
        pass
    proven.exhausted(0, 1.2)
    proven.received(0, [Result("hello", True)], 1.3)
    proven.ended(0, False, 1.3)
    list(iter(proven.next_event, None))
    spoken(proven, 5.0)
    refusals, now = 0, 6.3
    events = []
    while Believed() not in events:
        events = list(iter(proven.next_event, None))
        for event in events:
            if isinstance(event, OpenStream):
                proven.ended(event.stream, True, now, refused=True)
                refusals += 1
        now += 0.1
        proven.tick(now)
    assert refusals == StreamParams().refusals_believed and now > 7.5


def test_speech_that_nothing_answers_gets_one_more_stream_while_it_goes_on():
    machine = SpeechStreams(RATE)
    begin = 1_000.0  # clocks do not begin with the talk
    machine.speech_started(0.2, begin)
    opened = []
    for tenth in range(200):
        now = begin + tenth / 10
        machine.audio(silence(0.1).tobytes(), now)
        machine.tick(now)
        opened += [(now, event.stream) for event in iter(machine.next_event, None) if isinstance(event, OpenStream)]
    assert [stream for _, stream in opened] == [0, 1] and opened[1][0] - begin == pytest.approx(5.0, abs=0.2)


def test_a_sound_too_short_to_be_sure_of_is_recognized_and_costs_nothing_else():
    for words in ([Result("Go.", True, 0.3)], []):
        machine = SpeechStreams(RATE)
        machine.audio(silence(0.3).tobytes(), 0.0)
        machine.speech_onset(0.06, 0.0)
        machine.audio(silence(0.2).tobytes(), 0.2)
        machine.speech_paused(0.12, 0.2)
        while machine.take(0, 15_000):
            pass
        assert machine.exhausted(0, 0.2)
        if words:
            machine.received(0, words, 0.5)
        machine.ended(0, False, 0.6)
        told = [event for event in iter(machine.next_event, None) if not isinstance(event, OpenStream)]
        assert told == ([FinalText("Go.", "", True)] if words else [])


def test_a_sound_that_turns_out_to_be_speech_is_one_segment_with_it():
    machine = SpeechStreams(RATE)
    machine.audio(silence(0.3).tobytes(), 0.0)
    machine.speech_onset(0.06, 0.0)
    machine.audio(silence(0.2).tobytes(), 0.2)
    machine.speech_started(0.2, 0.2)
    machine.audio(silence(0.5).tobytes(), 0.7)
    machine.speech_stopped(0.2, 0.9)
    assert [event for event in iter(machine.next_event, None) if isinstance(event, OpenStream)] == [OpenStream(0)]
