"""Takes silent markup out of a text: marks that are paired, at a line's start, or known tags; nothing else."""

import html
import re
import unicodedata

PAUSE_TAGS = re.compile(r"\[pause(?: short| long)?\]")
"""Pause markup of Chirp 3 HD (facts/tts#input)."""

_TAG_NAMES = (
    "a abbr audio b blockquote body br break center cite code dd del details div dl dt em emphasis font h1 h2 h3 h4 h5 "
    "h6 head hr html i ins kbd li mark ol p pre prosody q s samp say-as script small span speak strike strong style "
    "sub sup summary table tbody td th thead tr tt u ul var voice phoneme math"
)
_ATTRIBUTE = r"""(?:\s+[\w:-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>]+))"""
_TAG = re.compile(rf"</?(?:{'|'.join(_TAG_NAMES.split())}){_ATTRIBUTE}*\s*/?>", re.IGNORECASE)
_BREAK_TAG = re.compile(r"<(?:br|hr|/p|/li|/tr|/h[1-6]|/div)\s*/?>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
_LINK = re.compile(r"\[([^\[\]\n]+)\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+\"[^\"]*\")?\)")
_REFERENCE_LINK = re.compile(r"\[([^\[\]\n]+)\]\[[^\[\]\n]*\]")
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]+\]:?")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^\s<>]+|[^\s<>@]+@[^\s<>@]+\.[^\s<>@]+)>")
_LINE_MARKS = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+•‣◦][ \t]+(?:\[[ xX]\][ \t]+)?)+", re.MULTILINE)
_HEADING_END = re.compile(r"[ \t]+#+[ \t]*$", re.MULTILINE)
_RULE = re.compile(
    r"^[ \t]*(?:-[ \t]*){3,}$|^[ \t]*(?:\*[ \t]*){3,}$|^[ \t]*(?:_[ \t]*){3,}$|^[ \t]*={3,}[ \t]*$", re.M
)
_TABLE_RULE = re.compile(r"^[ \t]*\|?(?:[ \t]*:?-{2,}:?[ \t]*\|)+[ \t:-]*$", re.MULTILINE)
_CODE_SPAN = re.compile(r"(`{1,2})(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+.!|~>&$-])")
# Pairs that hug their content; an underscore within a word is none, and neither is a star between numbers.
_PAIRS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"(?<![\\*])\*{1,3}(?=[^\s*])(.+?)(?<=[^\s*\\])\*{1,3}(?!\*)",
        r"(?<![\w\\])_{1,3}(?=[^\s_])(.+?)(?<=[^\s_\\])_{1,3}(?!\w)",
        r"~~(?=\S)(.+?)(?<=\S)~~",
        r"(?<![=\w])==(?=[^\s=])(.+?)(?<=[^\s=])==(?![=\w])",
    )
)
_FORMULA = re.compile(r"\\\((.+?)\\\)|(?<![\w$])\$(?=[^\s\d$])([^$\n]{1,80}?)(?<=\S)\$(?![\w$])", re.DOTALL)
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}")
_ROOT = re.compile(r"\\sqrt\{([^{}]*)\}")
_LATEX_SIGNS = {
    "times": "×", "cdot": "×", "div": "÷", "pm": "±", "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠",
    "ne": "≠",
    "approx": "≈", "infty": "∞", "to": "→", "rightarrow": "→", "degree": "°", "percent": "%",
}  # fmt: skip
_LATEX_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_LATEX_LAYOUT = frozenset(["left", "right", "quad", "qquad", "text", "mathrm", "mathbf", "displaystyle"])
# Symbols without a letter's class that a voice knows how to say.
_SPOKEN_SYMBOLS = frozenset("°№℃℉™®©")
_LOOSE_JOINER = re.compile(r"(?<!\w)[\u200c\u200d]+|[\u200c\u200d]+(?!\w)")
_INVISIBLE = frozenset(("Cc", "Cf", "Co", "Cs", "Cn"))


def readable_characters(text: str) -> str:
    """Drop what no reader sees: control and direction marks, lone surrogates, stacked accents beyond two.

    Args:
        text: Any text.

    Returns:
        The text in composed form; spaces of all kinds are plain ones, line ends stay.
    """
    kept = []
    marks = 0
    for character in unicodedata.normalize("NFC", text.encode("utf-8", "ignore").decode()):
        category = unicodedata.category(character)
        # Within words of some scripts these two change what is read.
        if category in _INVISIBLE and character not in "\n\t\u200c\u200d":
            kept.append(" " if character in "\r\x0b\x0c" else "")
            continue
        marks = marks + 1 if category == "Mn" else 0
        if marks <= 2:
            kept.append(" " if category == "Zs" or character == "\t" else character)
    return "".join(kept)


def without_pictures(text: str) -> str:
    """Take emoji and other symbols out that have no sound.

    Args:
        text: Any text.

    Returns:
        The text with spaces in their place.
    """
    return _LOOSE_JOINER.sub("", "".join(character if _has_sound(character) else " " for character in text))


def without_markup(text: str) -> str:
    """Take the markup out of a stretch of text that holds no blocks.

    Args:
        text: Written text.

    Returns:
        The text as it is read, in which only signs with meaning are left.
    """
    text = _ENTITY.sub(lambda match: html.unescape(match.group()), text)
    text = _AUTOLINK.sub(r"\1", text)
    text = _BREAK_TAG.sub("\n", text)
    text = _TAG.sub("", text)
    text = _FOOTNOTE.sub("", text)
    text = _LINK.sub(r"\1", text)
    text = _REFERENCE_LINK.sub(r"\1", text)
    text = _TABLE_RULE.sub("", _RULE.sub("", text))
    text = _HEADING_END.sub("", _LINE_MARKS.sub("", text))
    text = _FORMULA.sub(lambda match: _formula(match[1] or match[2]), text)
    text = _CODE_SPAN.sub(r"\2", text)
    for pair in _PAIRS:
        text = _unwrap(pair, text)
    return _ESCAPED.sub(r"\1", text)


def _unwrap(pair: re.Pattern[str], text: str) -> str:
    """Take pairs of marks off their content, the outer ones first, except where they stand between numbers."""

    def inner(match: re.Match[str]) -> str:
        before, after = text_now[: match.start()].rstrip()[-1:], match[1][:1]
        if before.isdigit() and after.isdigit():
            return match.group()
        return match[1]

    for _ in range(3):
        text_now = text
        text = pair.sub(inner, text_now)
        if text == text_now:
            break
    return text


def _formula(source: str) -> str:
    """An inline formula in plain signs."""
    source = _FRACTION.sub(r"(\1)÷(\2)", source)
    source = _ROOT.sub(r"√(\1)", source)
    source = _LATEX_COMMAND.sub(
        lambda match: "" if match[1] in _LATEX_LAYOUT else _LATEX_SIGNS.get(match[1], f" {match[1]} "), source
    )
    source = re.sub(r"\\[,;:! ]", " ", source)
    return re.sub(r"\(([^()\s]+)\)", r"\1", source.replace("{", "").replace("}", ""))


def _has_sound(character: str) -> bool:
    category = unicodedata.category(character)
    if category in ("So", "Sk"):
        return character in _SPOKEN_SYMBOLS or character in {"^", "`"}
    return not "\ufe00" <= character <= "\ufe0f" and not "\U0001f3fb" <= character <= "\U0001f3ff"
