"""What words alone tell about a turn; the lists are part of each language's file."""

from halfcascade.processors.language import TurnWords, normalize, turn_words

__all__ = ["TurnWords", "normalize", "turn_words"]
