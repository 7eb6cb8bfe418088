"""What settings make of brain and voice, before a talk."""

import pytest
from pipecat.processors.aggregators.llm_context import LLMContext

from halfcascade.bot import pipeline
from halfcascade.bot.settings import SHORT_START, Settings
from halfcascade.processors.chirp_tts.segmenter import FirstSegment, Place


def test_the_bound_of_the_first_cut_is_a_setting():
    """The clock of the voice, asked with a text that ends in mid-phrase, wants a cut when the setting says so."""
    for wait in (0.05, 0.3, None):
        settings = Settings() if wait is None else Settings(first_wait=wait)
        voice = pipeline.make_voice(settings)
        voice._cutter.segmenter.feed("The ")
        voice._cut_clock.text_came(10.0)
        wanted = FirstSegment.wait if wait is None else wait
        while (due := voice._cut_clock.due()).place is not Place.ANY:
            assert due.at <= 10.0 + wanted
            voice._cut_clock.tried(due)
        assert due.at == 10.0 + wanted


@pytest.mark.parametrize(("model", "known"), [("gemini-3.8-live", True), ("gemini-live-2.5-flash", False)])
def test_only_of_transcripts_it_is_known_that_pieces_end_with_whole_words(model, known):
    """What seems to end a phrase is cut at once, or only when the next piece shows that its last word is whole."""
    segmenter = pipeline.make_voice(Settings(model=model))._cutter.segmenter
    segmenter.feed("I would like that,")
    assert (segmenter.force(Place.PHRASE) is not None) is known


def test_the_model_is_asked_for_a_short_start_only_if_wanted():
    for wanted in (False, True):
        brain = pipeline.make_brain(Settings(short_start=wanted), LLMContext())
        assert (SHORT_START in str(brain._settings.system_instruction)) is wanted
