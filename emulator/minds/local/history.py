"""What a conversation's history says: turns, what of a reply was heard, facts about the user. Pure text, no engine."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from halfcascade.emulator.minds.base import FunctionResult, Message

_NOTE = re.compile(r"\s*(\[[^\]]*\])\s*")
_QUOTED = re.compile(r"[\"“«](.*)[\"”»]", re.DOTALL)
_EARLIER = re.compile(r"Earlier the (user said|user heard you say): (.*)", re.DOTALL)
_HEARD_NOTHING = re.compile(r"before hearing anything|heard (?:nothing|none)|(?:not|n't) hear|듣지 못", re.IGNORECASE)


def split_notes(text: str) -> tuple[str, list[str]]:
    """Separate what a user said from bracketed notes that the client put around it.

    Returns:
        The words, and the notes without their brackets.
    """
    notes = [note[1:-1].strip() for note in _NOTE.findall(text)]
    return " ".join(_NOTE.sub(" ", text).split()), notes


@dataclass
class Line:
    """One thing that was said.

    Parameters:
        role: Who said it.
        text: The words; of the model's only what was heard, as far as the server was told.
        interrupted: Whether the client said that no more was heard.
        new: Whether it belongs to the last message, which must be answered.
    """

    role: Literal["user", "model"]
    text: str
    interrupted: bool = False
    new: bool = False


def believed(messages: Sequence[Message]) -> list[Line]:
    """Return the conversation as the client's notes correct it.

    A client may tell in bracketed notes what of a reply was heard, what was said while it was away, and that a turn
    must be forgotten; it may also send a message in the model's name in place of the one before it.
    """
    lines: list[Line] = []
    apart = False  # a function's result stands between two replies
    for message in messages:
        if message.role == "model":
            if not message.text:
                continue
            if lines and lines[-1].role == "model" and not apart:
                lines[-1] = Line("model", message.text, interrupted=True)
            else:
                lines.append(Line("model", message.text))
            apart = False
            continue
        apart = any(isinstance(part, FunctionResult) for part in message.parts)
        words, notes = split_notes(message.text)
        for note in notes:
            _apply(note, lines)
        if words:
            lines.append(Line("user", words, new=message is messages[-1]))
    return lines


def _apply(note: str, lines: list[Line]) -> None:
    last_reply = next((line for line in reversed(lines) if line.role == "model"), None)
    if match := _EARLIER.match(note):
        lines.append(Line("user" if match[1] == "user said" else "model", match[2].strip()))
    elif note.lower().startswith("ignore the user's previous message"):
        while lines and lines.pop().role == "model":
            pass
    elif last_reply is not None and (heard := _heard(last_reply.text, note)) is not None:
        last_reply.text, last_reply.interrupted = heard, True


def _heard(sent: str, note: str) -> str | None:
    """Return what a note says was heard of a reply, or None if it tells nothing about that."""
    if not re.search(r"hear|interrupt|들", note, re.IGNORECASE):
        return None
    if _HEARD_NOTHING.search(note):
        return ""
    quoted = _QUOTED.search(note)
    heard = (quoted[1] if quoted else note.split(":", 1)[-1]).strip()
    # A long reply is quoted by its last words: all that was sent before them was heard too.
    if (end := _end_of(plain(heard).split(), sent)) is not None:
        return sent[:end].strip()
    return heard if quoted else None


def _end_of(words: list[str], text: str) -> int | None:
    """Return where in a text a run of words ends, or None."""
    if not words:
        return None
    places = [(match.end(), plain(match[0])) for match in re.finditer(r"\S+", text)]
    places = [(end, word) for end, word in places if word]
    spelled = [word for _, word in places]
    for at in range(len(spelled) - len(words) + 1):
        if spelled[at : at + len(words)] == words:
            return places[at + len(words) - 1][0]
    return None


@dataclass(frozen=True)
class Reply:
    """What the model said, as far as it is believed that it was heard.

    Parameters:
        text: The words.
        asked: What the user had said before.
        interrupted: Whether no more than this was heard.
    """

    text: str
    asked: str
    interrupted: bool = False


def replies(lines: Sequence[Line]) -> list[Reply]:
    """Return the model's replies in order."""
    found: list[Reply] = []
    asked = ""
    for line in lines:
        if line.role == "user":
            asked = line.text
        else:
            found.append(Reply(line.text, asked, line.interrupted))
    return found


def plain(text: str) -> str:
    """Return the words in lower case, single spaces, no punctuation but apostrophes and points inside words."""
    text = text.lower().replace("’", "'")
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    return " ".join(re.sub(r"(?<!\d)\.|\.(?!\d)|[^\w\s'.+*/%-]", " ", text).split())


_END = r"(?=\s*(?:[,.!?;]|\band\b|\bbut\b|\bso\b|\bbecause\b|\bwith my\b|$))"
_FACTS = (
    ("name", re.compile(r"\b(?:my name is|my name's|call me|name is)\s+([^\W\d_][\w'-]*)", re.IGNORECASE)),
    ("city", re.compile(rf"\bi(?: am living| live|'m living|’m living)\s+in\s+([\w' -]+?){_END}", re.IGNORECASE)),
    ("origin", re.compile(rf"\bi(?: am|'m|’m| come) from\s+([\w' -]+?){_END}", re.IGNORECASE)),
    ("job", re.compile(rf"\bi work as\s+(?:an?\s+)?([\w' -]+?){_END}", re.IGNORECASE)),
    (
        "likes",
        re.compile(r"\bi (?:really |also )?(?:like|love|enjoy)\s+(?!to know|to ask)([\w' -]+?)(?=[,.!?;]|$)", re.I),
    ),
)
_PERSONAL = re.compile(rf"\bmy ([a-z][a-z ]{{1,30}}?) (?:is|are)(?: called| named)?\s+([\w' -]+?){_END}", re.IGNORECASE)
# Case matters: "I'm Dana" is a name, "I'm fine" is none; recognizers write names with a capital.
_I_AM = re.compile(r"\b(?:I am|I'm|I’m|This is)\s+([A-Z][a-z]+)(?=\s*(?:[,.!?]|and\b|$))")
_KOREAN_FACTS = (
    ("name", re.compile(r"이름은\s*([가-힣A-Za-z]+?)(?:이라고|라고|입니다|이에요|예요|이야|야)(?=\W|합|해|불|$)")),
    ("name", re.compile(r"(?:저는|나는|전|난)\s+([가-힣A-Za-z]+?)(?:이라고|라고)\s*(?:합니다|해요|해)")),
    ("city", re.compile(r"([가-힣A-Za-z]+?)에(?:서)?\s*살(?:아요|고|아|아요|ㅂ니다|고 있|며|습니다)?")),
    ("likes", re.compile(r"([가-힣A-Za-z ]+?)[을를]\s*좋아(?:해|합)")),
)


@dataclass
class Facts:
    """What the user has told about themselves; the newest telling wins.

    Parameters:
        known: By subject: ``name``, ``city``, ``likes``, and whatever followed "my".
        new: Subjects that the last message told.
    """

    known: dict[str, str] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)


def facts(lines: Sequence[Line]) -> Facts:
    """Collect the facts that the user told, oldest first."""
    found = Facts()
    for line in lines:
        if line.role == "user":
            told = facts_in(line.text)
            found.known.update(told)
            if line.new:
                found.new = list(told)
    return found


def facts_in(text: str) -> dict[str, str]:
    """Return what one utterance tells about its speaker."""
    told: dict[str, str] = {}
    if re.match(r"\s*(?:what|who|where|when|how|do you|can you|could you|is|are)\b[^.!?]*\?", text, re.IGNORECASE):
        # The question before a statement tells nothing: "What is my name? My name is Dana."
        text = text.split("?", 1)[1]
    for key, value in _PERSONAL.findall(text):
        if key.lower() not in ("name",) and not re.match(r"(?:not|what)\b", value, re.IGNORECASE):
            told[key.lower()] = value.strip()
    for key, pattern in _FACTS:
        if match := pattern.search(text):
            told[key] = _proper(match[1]) if key in ("name", "city", "origin") else match[1].strip()
    if "name" not in told and (match := _I_AM.search(text)) and not _NO_NAMES.fullmatch(match[1].lower()):
        told["name"] = match[1]
    for key, pattern in _KOREAN_FACTS:
        if match := pattern.search(text):
            told.setdefault(key, match[1].strip())
    return told


_NO_NAMES = re.compile(
    r"fine|good|great|ok|okay|sorry|happy|sad|tired|hungry|bored|here|back|ready|done|sure|not|very|so|just|glad|well"
)


def _proper(text: str) -> str:
    return " ".join(word if word[:1].isupper() else word.capitalize() for word in text.split())
