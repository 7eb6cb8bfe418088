"""Planted faults: the property of ``test_turn_names`` finds each, or it would prove nothing.

Each stands with a talk of the property's own kind in which it shows. Five more show in no such talk, since whatever is
asked next makes them good: what they cost is an answer to a question that was withdrawn, a wait, or words of a session
that was lost. ``gemini_live/test_overtaken.py`` finds those.
"""

from unittest.mock import patch

import pytest

from halfcascade.processors.gemini_live import GeminiLiveTextProcessor
from halfcascade.processors.gemini_live.protocol.exchange import Exchange
from halfcascade.processors.gemini_live.protocol.session import SessionMachine
from halfcascade.processors.turns.joining import JoiningUserAggregator
from tests.processors.test_turn_names import Speech, Talk, check

GONE_ON_WITH = (Speech(6.0, 1.0, ()), Speech(2.5, 2.5, (0.3, 1.0, 1.0)), Speech(1.2, 1.0, ()))


def twice(ask):
    def asks(self, context, **kwargs):
        first = ask(self, context, **kwargs)
        self._machine.history.forget()
        return ask(self, context, **kwargs) or first

    return asks


def other_way_round(reopen):
    async def reopened(self, controller):
        await reopen(self, controller)
        self._aggregation.reverse()

    return reopened


def without_what_came_before(reopen):
    async def reopened(self, controller):
        self._ended_parts = []
        await reopen(self, controller)

    return reopened


def never(_):
    return lambda self, *args, **kwargs: []


FAULTS = {
    "turns are asked twice": (
        (GeminiLiveTextProcessor, "_ask", twice),
        Talk((Speech(2.5, 0.3, (1.0, 3.0)), Speech(0.25, 0.3, (1.0, 3.0, 3.0))), 0.2),
    ),
    "words change places": (
        (JoiningUserAggregator, "_reopen", other_way_round),
        Talk(GONE_ON_WITH, 0.95, voice_secs=1.5),
    ),
    "words before a pause are dropped": (
        (JoiningUserAggregator, "_reopen", without_what_came_before),
        Talk(GONE_ON_WITH, 0.95, voice_secs=1.5),
    ),
    "a withdrawn turn stays with the model": (
        (SessionMachine, "withdraw", never),
        Talk((Speech(0.25, 0.3, (0.1, 0.1, 0.1)),), 0.6, 0.05, 1.5, early=True),
    ),
    "nothing is undone": (
        (Exchange, "undo", never),
        Talk(
            (Speech(6.0, 2.5, (0.1, 1.0, 1.0)), Speech(1.2, 1.0, (0.3, 0.3, 1.0)), Speech(1.2, 1.0, (0.3, 0.3, 1.0))),
            0.95,
            0.05,
            1.5,
            early=True,
        ),
    ),
}


def again(talk: Talk) -> Talk:
    return Talk(talk.speeches, talk.verdict, talk.answer_secs, talk.voice_secs, talk.early)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault):
    (owner, name, make), talk = FAULTS[fault]
    check(again(talk))
    with patch.object(owner, name, make(getattr(owner, name))), pytest.raises(AssertionError):
        check(again(talk))
