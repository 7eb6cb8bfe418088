"""What a conversation's history says: turns, what of a reply was heard, facts about the user. Pure text, no engine."""

import re
from dataclasses import dataclass, field

from emulator.minds.base import Conversation, FunctionResult, Message

_NOTE = re.compile(r"\s*(\[[^\]]*\])\s*")
_QUOTED = re.compile(r"[\"“”«]([^\"“”»]*)[\"“”»]|(?<!\w)['‘](.+?)['’](?!\w)")


def split_notes(text: str) -> tuple[str, list[str]]:
    """Separate what a user said from bracketed notes that the client put around it.

    Returns:
        The words, and the notes without their brackets.
    """
    notes = [note[1:-1].strip() for note in _NOTE.findall(text)]
    return " ".join(_NOTE.sub(" ", text).split()), notes


def said(message: Message) -> str:
    """Return what a message says, without notes."""
    return split_notes(message.text)[0]


@dataclass(frozen=True)
class Reply:
    """What the model said, as far as the server believes that it was heard.

    Parameters:
        text: The words.
        asked: What the user had said before.
        interrupted: Whether a note says that the user heard only this much.
    """

    text: str
    asked: str
    interrupted: bool = False


def replies(messages: list[Message]) -> list[Reply]:
    """Return the model's replies in order.

    A note in the next user message that quotes what was heard, or a second model message that repeats the reply as far
    as it was heard, takes the place of what was sent.
    """
    found: list[Reply] = []
    asked = ""
    sent: str | None = None
    corrected = False

    def close(notes: list[str]) -> None:
        nonlocal sent, corrected
        if sent is not None:
            heard = _heard(sent, notes)
            found.append(Reply(sent if heard is None else heard, asked, corrected or heard is not None))
        sent, corrected = None, False

    for message in messages:
        if message.role == "model":
            if not message.text:
                continue
            corrected = sent is not None
            sent = message.text
        elif any(isinstance(part, FunctionResult) for part in message.parts):
            continue
        else:
            words, notes = split_notes(message.text)
            close(notes)
            asked = words or asked
    close([])
    return found


def _heard(sent: str, notes: list[str]) -> str | None:
    """Return what the notes say was heard of a reply, or None if they do not tell."""
    for note in notes:
        if not re.search(r"heard|interrupt|들", note, re.IGNORECASE):
            continue
        if quoted := next((a or b for a, b in _QUOTED.findall(note) if a or b), None):
            return quoted.strip(" .…") if plain(quoted) in plain(sent) else quoted.strip()
        if re.search(r"nothing|none|no part|not heard|듣지", note, re.IGNORECASE):
            return ""
        # "The user heard only: On the last rock" has no quotes: take what is also in the reply.
        after = note.split(":", 1)[-1].strip(" .…")
        if after and plain(after) and plain(after) in plain(sent):
            return after
    return None


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


def facts(conversation: Conversation) -> Facts:
    """Collect the facts that the user told, oldest message first."""
    found = Facts()
    users = [message for message in conversation.messages if message.role == "user" and said(message)]
    for message in users:
        told = facts_in(said(message))
        found.known.update(told)
        if message is conversation.messages[-1]:
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
