"""How the words of a turn end."""

from enum import Enum


class SentenceEnd(Enum):
    """How the words of a turn end, as far as lists of words can tell.

    Members:
        NOTHING: There are no words.
        ANSWER: They are a complete turn by themselves, however short ("yes").
        CLOSED: The last word is marked as the end of a sentence, in languages that mark it (``-요``).
        UNKNOWN: Lists do not tell.
        DEPENDENT: They begin with a clause that another one has to follow ("if it rains"), which may have come or not.
        FRAGMENT: They are few, and nothing in them calls for more: a complete turn as an answer ("two tickets"), and
            otherwise perhaps the beginning of one. Or what was left open is closed with a "yes" (``…해서 네``).
        HANGING: In a language that marks the ends of its sentences, this is not marked as one.
        READING_OUT: A number, a code or an address is being read out, which people do in groups.
        OPEN: No sentence ends like this ("tell me a", ``-는데``).
    """

    NOTHING = "nothing"
    ANSWER = "answer"
    CLOSED = "closed"
    UNKNOWN = "unknown"
    DEPENDENT = "dependent"
    FRAGMENT = "fragment"
    HANGING = "hanging"
    READING_OUT = "reading out"
    OPEN = "open"
