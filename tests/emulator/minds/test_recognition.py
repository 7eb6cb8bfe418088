"""The scripted listener hears exactly the words whose sound arrived: the ground other tests stand on."""

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halfcascade.emulator.minds.base import (
    LISTENER_RATE,
    SPEAKER_RATE,
    Hypothesis,
    RecognitionRequest,
    SynthesisRequest,
)
from halfcascade.emulator.minds.recordings import Library, Recording, load_index
from halfcascade.emulator.minds.scripted_listener import Progress
from halfcascade.emulator.minds.scripted_speaker import ScriptedSpeaker
from halfcascade.emulator.minds.word_sources import RecordingSource
from halfcascade.emulator.profiles import ListenerProfile, SpeakerProfile

DATA = Path(__file__).parents[2] / "data" / "recordings.json"
OPUS_RATE = 48_000
MIDDLE_OF_NOWHERE = 0.05  # seconds: how exactly a cut is found


@cache
def library() -> Library:
    return Library([recording for recording in load_index(DATA) if recording.words])


def reading() -> Recording:
    return max(library().recordings, key=lambda recording: len(recording.words))


def listen(audio: np.ndarray, piece: int = 1_600) -> list[str]:
    source = RecordingSource(library())
    for start in range(0, len(audio), piece):
        source.feed(audio[start : start + piece].astype(np.float32))
    source.finish()
    return [word.word for word in source.words()]


def cut(recording: Recording, start: float, end: float) -> np.ndarray:
    return recording.samples[round(start * LISTENER_RATE) : round(end * LISTENER_RATE)]


def words_within(recording: Recording, start: float, end: float) -> list[str]:
    return [word.word for word in recording.words if word.start >= start and word.end <= end]


@pytest.mark.parametrize("index", range(len(library().recordings)))
def test_every_recording_is_heard_whole(index):
    recording = library().recordings[index]
    assert listen(recording.samples) == [word.word for word in recording.words]


DISTORTIONS = {
    "quiet": lambda x: x * 0.2,
    "loud": lambda x: np.clip(x * 2.0, -1, 1),
    "48 kHz and back": lambda x: soxr.resample(soxr.resample(x, 16_000, 48_000), 48_000, 16_000),
    "44.1 kHz and back": lambda x: soxr.resample(soxr.resample(x, 16_000, 44_100), 44_100, 16_000),
    "telephone band": lambda x: soxr.resample(soxr.resample(x, 16_000, 8_000), 8_000, 16_000),
    "noise": lambda x: x + 10 ** (-45 / 20) * np.random.default_rng(1).standard_normal(len(x)).astype(np.float32),
    "a drifting clock": lambda x: soxr.resample(x, 16_000, 16_001),
    "growing loudness": lambda x: x * np.linspace(0.3, 1.0, len(x), dtype=np.float32),
    "16 bit": lambda x: np.round(x * 32_767) / 32_768,
}


@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_distorted_sound_is_heard(distortion):
    recording = reading()
    first, last = recording.words[12], recording.words[40]
    start, end = first.start - 0.02, last.end + 0.02
    heard = listen(DISTORTIONS[distortion](cut(recording, start, end)))
    assert heard == words_within(recording, start, end)


@cache
def as_a_browser_sends_it(index: int) -> np.ndarray:
    av = pytest.importorskip("av")
    sound = soxr.resample(library().recordings[index].samples, LISTENER_RATE, OPUS_RATE)
    pcm = (np.clip(sound, -1, 1) * 32_767).astype(np.int16)
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = OPUS_RATE, "mono", "s16", 32_000
    encoder.options = {"application": "voip"}
    frame = av.AudioFrame.from_ndarray(pcm[None], "s16", "mono")
    frame.sample_rate = OPUS_RATE
    resampler = av.AudioResampler("s16", "mono", OPUS_RATE, OPUS_RATE // 50)
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    packets = [packet for piece in [*pieces, None] for packet in encoder.encode(piece)]
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = OPUS_RATE, "mono"
    decoded = [frame.to_ndarray().ravel() for packet in packets for frame in decoder.decode(packet)]
    return soxr.resample(np.concatenate(decoded).astype(np.float32) / 32_768, OPUS_RATE, LISTENER_RATE)


# A stream is heard in blocks, and where in a word they begin is another matter in each talk.
@pytest.mark.parametrize("late", range(40, 800, 160))
@pytest.mark.parametrize("index", [i for i, one in enumerate(library().recordings) if 5 < len(one.words) < 20])
def test_what_a_browser_sends_is_heard_whole(index, late):
    audio = np.concatenate([np.zeros(4_000 + late, np.float32), as_a_browser_sends_it(index)])
    assert listen(audio) == [word.word for word in library().recordings[index].words]


def test_other_sound_is_not_heard():
    noise = np.random.default_rng(2).standard_normal(LISTENER_RATE * 3).astype(np.float32) * 0.1
    assert listen(noise) == []
    stranger = ScriptedSpeaker(SpeakerProfile())
    pcm = b"".join(
        stranger.render("These words are in no recording.", SynthesisRequest("en-US-Chirp3-HD-Puck", "en-US"))
    )
    assert listen(soxr.resample(np.frombuffer(pcm, "<i2") / 32_768, SPEAKER_RATE, LISTENER_RATE)) == []


def test_speech_after_other_sound_is_heard():
    noise = np.random.default_rng(3).standard_normal(LISTENER_RATE).astype(np.float32) * 0.05
    recording = library().recordings[0]
    assert listen(np.concatenate([noise, recording.samples])) == [word.word for word in recording.words]


def pauses(recording: Recording, least: float) -> list[tuple[float, float]]:
    return [(one.end, other.start) for one, other in pairwise(recording.words) if other.start - one.end >= least]


def test_silence_may_be_left_out():
    recording = reading()
    parts, position = [], 0.0
    for start, end in pauses(recording, 0.2):
        parts.append(cut(recording, position, start + 0.05))
        position = end - 0.05
    parts.append(cut(recording, position, len(recording.samples) / LISTENER_RATE))
    assert len(parts) > 5
    assert listen(np.concatenate(parts)) == [word.word for word in recording.words]


def test_silence_may_be_muted_and_words_too():
    recording = reading()
    audio = cut(recording, 0.0, 12.0).copy()
    lost = recording.words[8]
    audio[round(lost.start * LISTENER_RATE) : round(lost.end * LISTENER_RATE)] = 0
    expected = words_within(recording, 0.0, 12.0)
    assert listen(audio)[: len(expected)] == expected[:8] + expected[9:]


@pytest.mark.parametrize("share", [0.3, 0.85])
def test_a_word_counts_by_the_share_that_arrived(share):
    recording = reading()
    word = max(recording.words[3:40], key=lambda word: word.end - word.start)
    assert word.end - word.start > 0.3
    end = word.start + share * (word.end - word.start)
    heard = listen(cut(recording, 0.0, end))
    expected = words_within(recording, 0.0, word.start)
    assert heard == [*expected, word.word] if share > 0.6 else heard == expected


def test_what_arrives_twice_is_heard_twice():
    recording = reading()
    again = [word for word in recording.words if 4.0 < word.start < 6.0]
    start, end = again[0].start - 0.02, again[-1].end + 0.02
    audio = np.concatenate([cut(recording, 0.0, end), cut(recording, start, 9.0)])
    expected = words_within(recording, 0.0, end) + words_within(recording, start, 9.0)
    heard = listen(audio)
    assert heard[: len(expected)] == expected
    assert len(heard) <= len(expected) + 1


def test_missing_audio_in_mid_speech_loses_its_words_and_no_others():
    recording = reading()
    gap = recording.words[10].start - 0.01, recording.words[13].end + 0.01
    heard = listen(np.concatenate([cut(recording, 0.0, gap[0]), cut(recording, gap[1], 12.0)]))
    expected = words_within(recording, 0.0, gap[0]) + words_within(recording, gap[1], 12.0)
    assert heard[: len(expected)] == expected
    assert len(heard) <= len(expected) + 1


@st.composite
def edits(draw) -> list[tuple[int, float, float]]:
    """Pieces of recordings in a row, as broken clients might send them."""
    long_ones = [index for index, recording in enumerate(library().recordings) if len(recording.words) >= 6]
    pieces: list[tuple[int, float, float]] = []
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.sampled_from(long_ones))
        length = len(library().recordings[index].samples) / LISTENER_RATE
        start = draw(st.floats(0.0, length - 1.2))
        pieces.append((index, start, min(length, start + draw(st.floats(1.0, 5.0)))))
    return pieces


def recognize(audio: np.ndarray, piece: int) -> list[str]:
    """Listen the way a stream does, with finals whenever a pause closes a portion."""
    request = RecognitionRequest(["en-US"], "long", interim_results=True)
    state = Progress(RecordingSource(library()), ListenerProfile(interim_interval=0.1, endpoint=0.3), request, "en-US")
    pcm = (np.clip(audio, -1, 1) * 32_767).astype("<i2")
    reports = []
    for start in range(0, len(pcm), piece):
        reports += state.audio(pcm[start : start + piece].tobytes())
    hypotheses = [report.event for report in reports + state.finish() if isinstance(report.event, Hypothesis)]
    return [word for hypothesis in hypotheses if hypothesis.is_final for word in hypothesis.text.split()]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(edits(), st.integers(160, 4_000), st.sampled_from([listen, recognize]))
def test_any_sequence_of_pieces_is_heard_as_what_it_holds(pieces, size, hear):
    parts = []
    for number, (index, start, end) in enumerate(pieces):
        parts += [cut(library().recordings[index], start, end), np.zeros(number % 2 * LISTENER_RATE // 2, np.float32)]
    heard = hear(np.concatenate(parts), size)
    sure, possible = [], []
    for index, start, end in pieces:
        for word in library().recordings[index].words:
            share = (min(word.end, end) - max(word.start, start)) / (word.end - word.start)
            margin = MIDDLE_OF_NOWHERE / (word.end - word.start)
            if share >= 0.6 + margin:
                sure.append(word.word)
            if share >= 0.6 - margin:
                possible.append(word.word)
    # Pieces too short to tell may be missed at a cut, so a word or two of slack, but never an invented sentence.
    assert is_subsequence(sure, heard, slack=2)
    assert is_subsequence(heard, possible, slack=2)


def is_subsequence(part: list[str], whole: list[str], slack: int) -> bool:
    """Tell whether all but ``slack`` words of a part appear in the whole, in order."""
    lengths = np.zeros((len(part) + 1, len(whole) + 1), int)
    for i, one in enumerate(part):
        for j, other in enumerate(whole):
            lengths[i + 1, j + 1] = lengths[i, j] + 1 if one == other else max(lengths[i, j + 1], lengths[i + 1, j])
    return bool(len(part) - lengths[-1, -1] <= slack)
