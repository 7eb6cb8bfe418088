"""Let the bot talk on over words of your own: "roger", "copy that".

While the bot speaks, a listener's "mm-hm" must not stop it. Which words mean "go on" stands in a list for each language
(``processors/language/data``); here it is made longer for one pipeline::

    LLMUserAggregatorParams(user_turn_strategies=radio_strategies())
"""

from dataclasses import replace

from pipecat.turns.user_turn_strategies import UserTurnStrategies

from halfcascade.processors.language import LanguageTurnWords, normalize, turn_words
from halfcascade.processors.turns import BargeInParams, user_turn_strategies
from halfcascade.processors.turns.barge_in import BargeInUserTurnStartStrategy

RADIO = ("roger", "copy", "copy that", "go ahead")


def radio_words() -> LanguageTurnWords:
    """Make the lists of English with the words of radio among the backchannels.

    Returns:
        Words for the strategies.
    """
    english = turn_words("en-US")
    if not isinstance(english, LanguageTurnWords):
        raise TypeError("one language has one set of lists")
    return replace(english, backchannels=english.backchannels | {normalize(words) for words in RADIO})


def radio_strategies(barge_in: BargeInParams | None = None) -> UserTurnStrategies:
    """Make the strategies for the user's aggregator.

    Args:
        barge_in: What stops the bot, or None for the defaults.

    Returns:
        Strategies that know the words of radio; a set serves one pipeline.
    """
    strategies = user_turn_strategies("en-US")
    strategies.start = [BargeInUserTurnStartStrategy(words=radio_words(), params=barge_in)]
    return strategies
