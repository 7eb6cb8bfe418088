import numpy as np

from halfcascade.bot.session.sound import SoundEdges

RATE = 24_000


def edges(sound: np.ndarray, start: float = 10.0):
    finder = SoundEdges()
    found = []
    for begin in range(0, len(sound), 480):
        found += finder.feed(sound[begin : begin + 480].astype("<i2").tobytes(), RATE, start + begin / RATE)
    return found


def test_speech_begins_and_ends_at_its_first_and_last_sample():
    sound = np.zeros(RATE * 3, dtype=np.int16)
    sound[5_001:20_002] = 3_000
    (began, first), (ended, last) = edges(sound)
    assert (began, ended) == ("sound_began", "sound_ended")
    assert abs(first - (10 + 5_001 / RATE)) < 1e-9
    assert abs(last - (10 + 20_001 / RATE)) < 1e-9


def test_pauses_between_words_are_no_end():
    sound = np.zeros(RATE * 3, dtype=np.int16)
    sound[1_000:5_000] = 3_000
    sound[12_000:15_000] = -3_000
    assert [kind for kind, _ in edges(sound)] == ["sound_began", "sound_ended"]


def test_noise_of_the_voice_is_silence():
    assert edges(np.full(RATE, 100, dtype=np.int16)) == []
