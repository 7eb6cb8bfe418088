"""Who speaks, and when a turn begins and ends: the parts to put into a pipeline."""

from collections.abc import Sequence

from pipecat.audio.turn.smart_turn.base_smart_turn import SmartTurnParams
from pipecat.turns.user_start import (
    BaseUserTurnStartStrategy,
    TranscriptionUserTurnStartStrategy,
    VADUserTurnStartStrategy,
)
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from halfcascade.processors.turns.barge_in import BargeInUserTurnStartStrategy
from halfcascade.processors.turns.barge_in_judge import BargeInParams
from halfcascade.processors.turns.early_smart_turn import EarlySmartTurnAnalyzer
from halfcascade.processors.turns.joining import JoiningUserAggregator, joining_aggregators
from halfcascade.processors.turns.smart_turn import SmartTurnStopParams, SmartTurnStopStrategy
from halfcascade.processors.turns.speech_detector import SpeechDetector, vad_analyzer
from halfcascade.processors.turns.words import turn_words

__all__ = [
    "BargeInParams",
    "JoiningUserAggregator",
    "SmartTurnStopParams",
    "SpeechDetector",
    "joining_aggregators",
    "user_turn_strategies",
    "vad_analyzer",
]


def user_turn_strategies(
    language: str | Sequence[str] = (),
    *,
    understand_barge_in: bool = True,
    speculate: bool = False,
    stop: SmartTurnStopParams | None = None,
    barge_in: BargeInParams | None = None,
) -> UserTurnStrategies:
    """Compose the strategies for ``LLMUserAggregatorParams``.

    Args:
        language: Locale or locales of the user; empty or ``auto`` for every language the word lists know.
        understand_barge_in: Let backchannels and noise pass while the bot speaks, instead of stopping it at any speech.
        speculate: Ask for the answer before it is certain that the turn is over; the ears' ``eager`` belongs to it.
        stop: When a silence ends a turn, or None for the defaults.
        barge_in: What stops the bot, or None for the defaults.

    Returns:
        The strategies; a set serves one pipeline.
    """
    languages = [language] if isinstance(language, str) and language else list(language)
    words = turn_words(*languages)
    stop = stop or SmartTurnStopParams(speculate=speculate)
    # Smart Turn's own limit on silence only backs up the strategy's.
    analyzer = EarlySmartTurnAnalyzer(params=SmartTurnParams(stop_secs=stop.incomplete_wait_secs + 2.0))
    start: list[BaseUserTurnStartStrategy]
    if understand_barge_in:
        start = [BargeInUserTurnStartStrategy(words=words, params=barge_in)]
    else:
        start = [VADUserTurnStartStrategy(), TranscriptionUserTurnStartStrategy()]
    return UserTurnStrategies(
        start=start,
        stop=[SmartTurnStopStrategy(turn_analyzer=analyzer, words=words, params=stop)],
    )
