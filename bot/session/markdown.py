"""A transcript as Markdown, with its headings in the language of this terminal."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from halfcascade.bot.harmless import harmless
from halfcascade.bot.session.reply_text import parts_of
from halfcascade.bot.session.transcript import BotSaid, Entry, Fate, Prompt, ToolUsed, Transcript, UserSaid
from halfcascade.lines import tr

# A document keeps what was said; only what nobody can have said is cut.
_LONGEST = 1_000_000
# Where a tag, an address in angle brackets, or the address of a link or a picture begins; backslashes of others before
# it would take ours for their own.
_ACTIVE = re.compile(r"(?<!\\)(\\*)(<(?=[A-Za-z/!?])|(?<=\])\()")


def render(transcript: Transcript, title: Mapping[str, Any]) -> str:
    """Write a transcript as Markdown.

    Args:
        transcript: The conversation.
        title: Facts for the head, such as backend, model and voice.

    Returns:
        The document.
    """
    lines = (line_of(entry) for entry in transcript.entries)
    return head(title) + "".join(f"{line}\n\n" for line in lines if line)


def head(title: Mapping[str, Any]) -> str:
    """Write the head of a transcript.

    Args:
        title: Facts such as backend, model and voice.
    """
    return f"# {tr('Conversation')}\n\n{', '.join(f'{key} {value}' for key, value in title.items() if value)}\n\n"


def line_of(entry: Entry) -> str:
    """Write one entry as Markdown.

    Args:
        entry: The entry.

    Returns:
        One line; empty if there is nothing to say.
    """
    if isinstance(entry, UserSaid):
        aside = f" *{tr('(in passing)')}*" if entry.backchannel else ""
        return f"**{tr('User')}** ({_time(entry.t)}): {_inert(entry.text)}{aside}"
    if isinstance(entry, BotSaid):
        if not entry.text.strip():
            return ""
        pieces = [(part, piece.fate) for piece in entry.pieces() for part in _prose_and_blocks(piece.text)]
        parts = [part if fate is Fate.HEARD else f"~~{_flat(part)}~~" for part, fate in pieces]
        if entry.opener:
            parts.append(f"*({tr('while the answer was on its way')})*")
        if entry.interrupted and pieces and pieces[-1][1] is not Fate.HEARD:
            parts.append(f"*({tr('interrupted')})*")
        return f"**{tr('Bot')}** ({_time(entry.t)}): {' '.join(parts)}".rstrip()
    if isinstance(entry, ToolUsed):
        result = "…" if entry.result is None else json.dumps(entry.result, ensure_ascii=False, default=str)
        arguments = json.dumps(entry.arguments, ensure_ascii=False, default=str)
        return f"> ({_time(entry.t)}) {tr('tool')} `{_flat(entry.name)}` {_inert(arguments)} → {_inert(result)}"
    if isinstance(entry, Prompt):
        return f"> ({_time(entry.t)}) {tr('the bot was told')}: {_inert(entry.text)}"
    return f"> ({_time(entry.t)}) {tr('error')}: {_inert(entry.message)}"


def _prose_and_blocks(text: str) -> Iterator[str]:
    """What is said as one line, what is only looked at as it is written."""
    for part in parts_of(text):
        if part.shown:
            yield f"\n\n{part.text}\n\n"
        elif prose := _flat(part.text):
            yield prose


def _flat(text: str) -> str:
    return " ".join(harmless(text, longest=_LONGEST).split())


def _inert(text: str) -> str:
    """What others wrote, on one line: whoever looks at the document loads and follows nothing of theirs."""
    return _ACTIVE.sub(r"\1\1\\\2", _flat(text))


def _time(t: float) -> str:
    return f"{int(t // 60):02d}:{t % 60:04.1f}"
