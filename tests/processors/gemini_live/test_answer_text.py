"""One answer's text by itself: what is speech, when it is over."""

from dataclasses import replace
from typing import Any

import pytest
from google.genai import types

from halfcascade.processors.gemini_live.protocol.answer import Answer, EndReason
from halfcascade.processors.gemini_live.protocol.answer_text import LATE_DELTA_SECS, UNFINISHED_TAIL_SECS, AnswerText
from halfcascade.processors.gemini_live.protocol.models import Modality, lookup
from halfcascade.processors.gemini_live.protocol.turn_events import Ended, Started, TextDelta

MODEL = lookup("gemini-3.8-live")


def content(**fields: Any) -> types.LiveServerContent:
    return types.LiveServerContent.model_validate(fields)


def begun(text: str = "", *, model: Any = MODEL, modality: Modality = Modality.AUDIO) -> tuple[AnswerText, Answer]:
    """A text of which something was delivered, and its answer."""
    spoken, answer = AnswerText(model, modality), Answer(1, 1, 0.0)
    spoken.deliver(answer, text, finished=False)
    return spoken, answer


def test_thoughts_are_not_spoken() -> None:
    parts = [{"text": "They want a greeting.", "thought": True}, {"text": "Hello."}]
    assert AnswerText(MODEL, Modality.TEXT).read(content(modelTurn={"parts": parts})) == ("Hello.", False)


def test_where_there_is_a_transcript_only_the_transcript_is_spoken() -> None:
    spoken = AnswerText(MODEL, Modality.AUDIO)
    both = content(modelTurn={"parts": [{"text": "*nods*"}]}, outputTranscription={"text": "Yes.", "finished": True})
    assert spoken.read(both) == ("Yes.", True)
    assert spoken.read(content(modelTurn={"parts": [{"text": "*nods*"}]})) == ("", False)


def test_a_text_begins_once_and_its_end_is_told_once() -> None:
    spoken, answer = AnswerText(MODEL, Modality.AUDIO), Answer(1, 1, 0.0)
    assert spoken.deliver(answer, "Hi, ", finished=False) == [Started(1), TextDelta(1, "Hi, ")]
    assert spoken.deliver(answer, "you.", finished=False) == [TextDelta(1, "you.")]
    assert answer.text == "Hi, you."
    assert spoken.end(answer) == [Ended(1, spoken=True)]
    assert spoken.end(answer) == []


def test_nothing_is_spoken_of_a_muted_answer() -> None:
    spoken = AnswerText(MODEL, Modality.AUDIO)
    assert spoken.deliver(Answer(1, 1, 0.0, suppressed=True), "Hi.", finished=False) == []


def test_a_whole_sentence_ends_at_once_and_an_unfinished_one_waits() -> None:
    spoken, answer = begun("All is said.")
    assert spoken.plan_end(answer, 10.0) == [Ended(1, spoken=True)]
    spoken, answer = begun("Once upon a")
    assert spoken.plan_end(answer, 10.0) == []
    assert spoken.trailing
    assert spoken.end_at == 10.0 + UNFINISHED_TAIL_SECS


def test_a_model_whose_transcript_trails_is_waited_for_even_after_a_whole_sentence() -> None:
    spoken, answer = begun("All is said.", model=replace(MODEL, transcript_leads=False))
    assert spoken.plan_end(answer, 10.0) == []
    assert spoken.end_at == 10.0 + UNFINISHED_TAIL_SECS
    assert not spoken.trailing  # it may well be all


def test_text_that_is_no_transcript_has_no_tail() -> None:
    spoken, answer = begun("Once upon a", modality=Modality.TEXT)
    assert spoken.plan_end(answer, 10.0) == [Ended(1, spoken=True)]


def test_sound_without_words_is_given_time_for_them() -> None:
    spoken, answer = AnswerText(MODEL, Modality.AUDIO), Answer(1, 1, 0.0, audio=True)
    assert spoken.plan_end(answer, 10.0) == []
    assert spoken.end_at == 10.0 + LATE_DELTA_SECS
    assert spoken.end(answer) == [Ended(1, spoken=False)]


@pytest.mark.parametrize(("late", "waits"), [(0.4, 0.6), (LATE_DELTA_SECS, LATE_DELTA_SECS)])
def test_the_next_text_waits_as_long_as_pieces_were_late(late: float, waits: float) -> None:
    spoken, answer = begun("One.")
    spoken.plan_end(answer, 10.0)
    answer.end(EndReason.COMPLETE, 10.0)
    assert TextDelta(1, "Two.") in spoken.deliver_late(answer, "Two.", 10.0 + late, finished=False)
    spoken.end(answer)
    spoken.begin()
    following = Answer(2, 2, 20.0)
    spoken.deliver(following, "Three.", finished=False)
    assert spoken.plan_end(following, 30.0) == []
    assert spoken.end_at == pytest.approx(30.0 + waits)


def test_a_piece_that_comes_much_too_late_is_nobodys() -> None:
    spoken, answer = begun("One.")
    answer.end(EndReason.COMPLETE, 10.0)
    assert spoken.deliver_late(answer, " Two.", 10.1 + LATE_DELTA_SECS, finished=False) == []
    assert answer.text == "One."


def test_what_was_dropped_has_no_end() -> None:
    spoken, answer = begun("Once upon a")
    spoken.plan_end(answer, 10.0)
    spoken.drop()
    assert spoken.end_at is None
    assert spoken.end(answer) == []


def test_a_resumed_text_skips_what_was_delivered() -> None:
    spoken, answer = begun("Once upon a time")
    spoken.resume("Once upon a time")
    again = Answer(1, 2, 5.0, text=answer.text)
    assert spoken.deliver(again, "Once upon a time there was", finished=False) == [TextDelta(1, " there was")]
    assert again.text == "Once upon a time there was"


def test_a_phantom_transcript_is_known_by_its_words_and_its_silence() -> None:
    spoken = AnswerText(lookup("gemini-3.1-flash-live-preview"), Modality.AUDIO)
    answer = Answer(1, 1, 0.0)
    answer.call([types.FunctionCall(name="weather", args={"city": "Seoul"})])
    assert spoken.deliver(answer, "seoul", finished=False) == []
    answer.audio = True
    assert TextDelta(1, "Seoul") in spoken.deliver(answer, "Seoul", finished=False)
