"""What the bot is saying: its words before they are heard, and as far as they are."""

import pytest
from pipecat.frames.frames import (
    InterruptionFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    TTSTextFrame,
)
from pipecat.tests.utils import run_test

from halfcascade.processors.turns.bot_speech import BotSpeech, BotSpeechTap

REPLY = "It is free at ten. Shall I book it for Tuesday?"


def heard(text: str, written: str = REPLY) -> BotSpeech:
    speech = BotSpeech()
    speech.begin()
    speech.wrote(written)
    speech.heard(text)
    return speech


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("", False),
        ("It is free", False),
        ("It is free at ten.", False),
        ("It is free at ten. Shall I", False),
        ("It is free at ten. Shall I book it for", True),
        (REPLY, True),
    ],
)
def test_a_question_is_asked_once_little_of_it_is_left(text, asks):
    assert heard(text).asks is asks


def test_korean_and_japanese_questions():
    assert not heard("네 알겠습니다", "네 알겠습니다. 화요일 오후 세 시로 예약해 드릴까요?").asks
    assert heard("네 알겠습니다. 화요일로 예약할까", "네 알겠습니다. 화요일로 예약할까요?").asks
    assert heard("火曜日にしますか", "火曜日にしますか？").asks


def test_a_question_that_was_followed_by_more_is_asked_no_longer():
    assert not heard("Is it cold? It seems so.", "Is it cold? It seems so.").asks


def test_the_newest_sentence_of_which_anything_was_heard():
    assert heard("").last_sentence == ""
    assert heard("It is free").last_sentence == "It is free"
    assert heard(REPLY).last_sentence == "Shall I book it for Tuesday?"


def test_what_was_cut_off_is_never_asked():
    speech = heard("It is free at ten. Shall I")
    speech.interrupted()
    assert not speech.asks
    speech.begin()
    speech.wrote("Really?")
    speech.heard("Really?")
    assert speech.asks


async def test_taps_tell_what_passes_before_the_voice_and_behind_the_output():
    speech = BotSpeech()
    frames = [LLMFullResponseStartFrame(), LLMTextFrame("It is ten. "), LLMTextFrame("Shall I go on?")]
    await run_test(BotSpeechTap(speech, audible=False), frames_to_send=frames)
    assert not speech.asks
    spoken = [TTSTextFrame(text, text_type="word") for text in ("It is ten.", "Shall I go on?")]
    await run_test(BotSpeechTap(speech, audible=True), frames_to_send=spoken)
    assert speech.asks
    await run_test(BotSpeechTap(speech, audible=False), frames_to_send=[InterruptionFrame(), TTSSpeakFrame("Hello.")])
    assert not speech.asks
