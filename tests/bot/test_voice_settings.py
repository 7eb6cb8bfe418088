"""What settings make of brain and voice, before a talk."""

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


def test_the_model_is_asked_for_a_short_start_only_if_wanted():
    for wanted in (False, True):
        brain = pipeline.make_brain(Settings(short_start=wanted), LLMContext())
        assert (SHORT_START in str(brain._settings.system_instruction)) is wanted
