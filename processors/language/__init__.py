"""What is known of languages and scripts: one data file a language, one notion of words, marks and spacing.

Nothing here knows of frames, services or audio. ``docs/languages.md`` says how to add a language.
"""

from halfcascade.processors.language.languages import (
    Language,
    Openers,
    Phrases,
    Shown,
    add_languages,
    known,
    language,
    phrases,
)
from halfcascade.processors.language.marks import ends_clause, ends_sentence
from halfcascade.processors.language.scripts import has_unspaced, is_unspaced, join_text, needs_space
from halfcascade.processors.language.sentence_end import SentenceEnd
from halfcascade.processors.language.spoken import SpokenWord, expected_pause, spoken_words, word_units
from halfcascade.processors.language.turn_words import LanguageTurnWords, TurnWords, normalize, turn_words
from halfcascade.processors.language.words import clusters, word_spans

__all__ = [
    "Language",
    "LanguageTurnWords",
    "Openers",
    "Phrases",
    "SentenceEnd",
    "Shown",
    "SpokenWord",
    "TurnWords",
    "add_languages",
    "clusters",
    "ends_clause",
    "ends_sentence",
    "expected_pause",
    "has_unspaced",
    "is_unspaced",
    "join_text",
    "known",
    "language",
    "needs_space",
    "normalize",
    "phrases",
    "spoken_words",
    "turn_words",
    "word_spans",
    "word_units",
]
