"""Who speaks, and when a turn begins and ends: the parts to put into a pipeline."""

from collections.abc import Sequence

from loguru import logger
from pipecat.audio.turn.smart_turn.base_smart_turn import SmartTurnParams
from pipecat.turns.user_start import (
    BaseUserTurnStartStrategy,
    TranscriptionUserTurnStartStrategy,
    VADUserTurnStartStrategy,
)
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from halfcascade.processors.language import language as known_language
from halfcascade.processors.turns.barge_in import BargeInUserTurnStartStrategy
from halfcascade.processors.turns.barge_in_judge import BargeInParams
from halfcascade.processors.turns.bot_speech import BotSpeech, BotSpeechTap
from halfcascade.processors.turns.early_smart_turn import EarlySmartTurnAnalyzer
from halfcascade.processors.turns.end_of_turn import EndOfTurnParams
from halfcascade.processors.turns.joining import JoiningUserAggregator, joining_aggregators
from halfcascade.processors.turns.networks import load_networks
from halfcascade.processors.turns.smart_turn import SmartTurnStopStrategy
from halfcascade.processors.turns.speculation import Speculations
from halfcascade.processors.turns.speech_detector import SpeechDetector, vad_analyzer
from halfcascade.processors.turns.text_end import english_text_end
from halfcascade.processors.turns.words import turn_words

__all__ = [
    "BargeInParams",
    "BotSpeech",
    "BotSpeechTap",
    "EndOfTurnParams",
    "JoiningUserAggregator",
    "Speculations",
    "SpeechDetector",
    "joining_aggregators",
    "load_networks",
    "user_turn_strategies",
    "vad_analyzer",
]


def user_turn_strategies(
    language: str | Sequence[str] = (),
    *,
    understand_barge_in: bool = True,
    speculations: Speculations | None = None,
    language_model: bool = True,
    bot_speech: BotSpeech | None = None,
    stop: EndOfTurnParams | None = None,
    barge_in: BargeInParams | None = None,
) -> UserTurnStrategies:
    """Compose the strategies for ``LLMUserAggregatorParams``.

    Args:
        language: Locale or locales of the user; empty or ``auto`` for every language the word lists know.
        understand_barge_in: Let backchannels and noise pass while the bot speaks, instead of stopping it at any speech.
        speculations: How often the answer may be asked for before it is certain that the turn is over, or None for
            never; the ears' ``eager`` belongs to it.
        language_model: Let the installed small language model, if there is one, judge whether words end a sentence.
        bot_speech: What the bot says, kept by a ``BotSpeechTap`` before the voice and one behind the output; None where
            the bot's words are not known.
        stop: When a silence ends a turn, or None for the defaults.
        barge_in: What stops the bot, or None for the defaults.

    Returns:
        The strategies; a set serves one pipeline.
    """
    languages = [language] if isinstance(language, str) and language else list(language)
    words = turn_words(*languages)
    _tell_of_missing_lists(languages)
    stop = stop or EndOfTurnParams()
    bot_speech = bot_speech or BotSpeech()
    # Smart Turn's own limit on silence only backs up the strategy's.
    analyzer = EarlySmartTurnAnalyzer(params=SmartTurnParams(stop_secs=stop.longest_wait_secs + 2.0))
    start: list[BaseUserTurnStartStrategy]
    if understand_barge_in:
        start = [BargeInUserTurnStartStrategy(words=words, params=barge_in, bot_speech=bot_speech)]
    else:
        start = [VADUserTurnStartStrategy(), TranscriptionUserTurnStartStrategy()]
    return UserTurnStrategies(
        start=start,
        stop=[
            SmartTurnStopStrategy(
                turn_analyzer=analyzer,
                words=words,
                params=stop,
                text_end=english_text_end(languages) if language_model else None,
                speculations=speculations,
                bot_speech=bot_speech,
            )
        ],
    )


def _tell_of_missing_lists(languages: Sequence[str]) -> None:
    missing = [locale for locale in languages if locale != "auto" and not known_language(locale).turns]
    if missing:
        logger.info(
            "There are no lists of words for {}: ends of turns and of interruptions are judged by their sound alone "
            "(docs/languages.md tells how to add a language).",
            ", ".join(missing),
        )
