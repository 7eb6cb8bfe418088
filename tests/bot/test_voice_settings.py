"""What settings make of brain and voice, before a talk."""

from pipecat.processors.aggregators.llm_context import LLMContext

from halfcascade.bot import pipeline
from halfcascade.bot.settings import SHORT_START, Settings


def test_the_bound_of_the_first_cut_is_a_setting():
    voice = pipeline.make_voice(Settings(first_wait=0.05))
    assert (voice._first_segment.wait, voice._first_segment.settle) == (0.05, 0.05)
    assert pipeline.make_voice(Settings())._first_segment.settle > 0.05


def test_the_model_is_asked_for_a_short_start_only_if_wanted():
    for wanted in (False, True):
        brain = pipeline.make_brain(Settings(short_start=wanted), LLMContext())
        assert (SHORT_START in str(brain._settings.system_instruction)) is wanted
