"""One reply of the bot as a line on a terminal: what was heard, what is only looked at, what nobody heard."""

from rich.text import Text

from halfcascade.bot.harmless import LONGEST, harmless
from halfcascade.bot.session.reply_text import parts_of
from halfcascade.bot.session.transcript import BotSaid, Fate
from halfcascade.lines import tr

UNHEARD_WORDS = 10
"""Words of a reply nobody heard that are shown before "and how many more"."""


def reply_line(entry: BotSaid, *, longest: int = LONGEST, coloured: bool = True) -> Text:
    """Show a reply.

    Args:
        entry: The reply.
        longest: Characters of a part that are shown.
        coloured: Whether words can be struck through; else they stand between tildes.

    Returns:
        One line. What the voice gave up is struck through where it stands; so is what nobody heard of a reply that is
        over, while what may still be heard is dim.
    """
    line = Text()
    for piece in entry.pieces():
        if piece.fate is Fate.HEARD:
            shown = reached_text(piece.text, longest)
        elif piece.fate is Fate.REST and not entry.closed:
            shown = Text(_flat(piece.text, longest), "dim")
        else:
            shown = unheard(_flat(piece.text, longest), coloured=coloured)
        if shown:
            line.append(" " if line else "").append_text(shown)
    return line


def reached_text(reached: str, longest: int = LONGEST) -> Text:
    """Show what of a reply was heard, and what was only to be looked at.

    Args:
        reached: Both, as written.
        longest: Characters of a part that are shown.

    Returns:
        One line; what was only looked at is of another style, with a word that says so.
    """
    line = Text()
    for number, part in enumerate(parts_of(reached)):
        line.append(" " if number else "")
        line.append(_flat(part.text, longest), "italic" if part.shown else "")
        if part.shown:
            line.append(f" ({tr('shown')})", "dim")
    return line


def unheard(rest: str, most: int = UNHEARD_WORDS, *, coloured: bool = True) -> Text:
    """Show what nobody heard, in short.

    Args:
        rest: The words.
        most: How many are shown.
        coloured: Whether they can be struck through; else they stand between tildes.

    Returns:
        The first words struck through, and how many more there are.
    """
    words, told = rest.split(), ""
    if len(words) > most + 2:
        rest, told = " ".join(words[:most]), f" {tr('… ({count} more words)').format(count=len(words) - most)}"
    struck = (rest, "dim strike") if coloured else f"~~{rest}~~" if rest else ""
    return Text.assemble(struck, (told, "dim"))


def _flat(text: str, longest: int) -> str:
    return harmless(" ".join(text.split()), longest=longest)
