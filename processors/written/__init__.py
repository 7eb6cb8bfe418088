"""From what is written to what is said: blocks that are only looked at, silent markup, signs that mean something.

``blocks`` finds, while a reply streams in, what is code, table, picture or formula. ``speakable`` turns the text
between them into words for the voice. Every character of a reply ends as spoken (perhaps in other words), as shown, or
as silent.
"""

from halfcascade.processors.written.blocks import BlockKind, find_block
from halfcascade.processors.written.speakable import speakable

__all__ = ["BlockKind", "find_block", "speakable"]
