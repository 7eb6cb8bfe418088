"""Speaks signs that mean something: arithmetic, comparisons, powers, ranges, addresses, versions, file and tag names.

Numbers, dates, times, currencies and units stay as they are written: the voices read those by themselves, in their own
language. What a language has no words for stays too, and the voice makes of it what it can.
"""

import re
from collections.abc import Callable, Mapping

from halfcascade.processors.language import language

_A = r"(?P<a>[\w.,%°√∞)\]]*[\w%°∞)\]])"
_B = r"(?P<b>[-−+]?[\w(\[√∞][\w.,%°)\]]*)"
_NUMBER = r"\d+(?:[.,]\d+)*"
_URL = re.compile(r"(?:https?://|www\.)[^\s<>()\[\]\"'“”「」]+", re.IGNORECASE)
_HOST_PATH = re.compile(r"(?<![\w@./])((?:[a-z0-9-]+\.)+[a-z]{2,})/[^\s<>()\[\]\"'“”「」]*", re.IGNORECASE)
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_HANDLE = re.compile(r"(?<![\w@])@(?=\w)")
_VERSION = re.compile(r"(?<![\w.])[vV]?(\d+(?:\.\d+){2,})(?![\w.]*\w@)(?!\.\d)")
_FILE = re.compile(
    r"(?<![\w@/.-])([\w-]+)\.(py|js|ts|tsx|jsx|json|ya?ml|toml|md|txt|csv|pdf|docx?|xlsx?|pptx?|png|jpe?g|gif|svg|mp[34]|"
    r"wav|zip|html?|css|java|cpp|rs|go|sh|exe|ini|log|sql|xml|env)\b(?!/)"
)
_PHONE = re.compile(r"(?<![\w.,-])\+?(?:\(\d{1,4}\)[ -]?)?\d{2,4}(?:[ .-]\d{2,4}){1,4}(?![\w-]|[.,]\d)")
_SHARP = re.compile(r"\b([A-GF])#(?![\w])")
_PLUSES = re.compile(r"(?<=[A-Za-z])\+\+(?!\w)")
_GRADE = re.compile(r"\b([A-F])\+(?![\w+])")
_HASH_NUMBER = re.compile(r"#\s?(\d+)\b")
_HASHTAG = re.compile(r"(?<![\w#&])#(?=[^\W\d_])")
_RANGE = re.compile(
    rf"(?<![\w.,/:–-])(?P<a>[$€£₩¥]?{_NUMBER}\s?[%°]?[A-Za-z가-힣]{{0,2}})\s?[–~～〜]\s?(?P<b>[$€£₩¥]?{_NUMBER})"
)
_HYPHEN_RANGE = re.compile(rf"(?<![\w.,/:–-])(?P<a>{_NUMBER})-(?P<b>{_NUMBER})(?=\s?[%°]|\s?[^\W\d_])(?!-)")
_TIME_RANGE = re.compile(r"(?<![\w:])(?P<a>\d{1,2}:\d{2})\s?[–—~-]\s?(?P<b>\d{1,2}:\d{2})")
_PER = re.compile(rf"(?P<a>(?:[$€£₩¥]\s?{_NUMBER}|{_NUMBER}\s?(?:원|円|元|€|달러|GB|MB|kB|KB)))/(?P<b>[^\W\d_]+)")
_ABOUT = re.compile(r"(?<![\w~])[~≈]\s?(?=[$€£₩¥]?\d)")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_SUPERSCRIPT = re.compile(r"(?<=[\w)])([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_UNIT_SQUARE = re.compile(r"\b(?:k|c|m|d)?m[²³]")
_BETWEEN_WORDS = re.compile(r"(?<=[^\W_])_+(?=[^\W_])")
# Signs between words are left to the voice where the language has no words for them.
_LEFT_OVER = re.compile(r"(?<![\w)])(?<![\w)]\s)[*^<>~|]+|[*^<>~|]+(?!\s?[\w(])|[_`#\\{}]+")
_PIPE = re.compile(r"\s*\|\s*")
_KO_ENDING = re.compile(r"(은\(는\)|이\(가\))")


def speak_signs(text: str, locale: str) -> str:
    """Write signs as the words that a person of that language would say.

    Args:
        text: Text without markup.
        locale: Locale of the voice.

    Returns:
        The text with words for signs. Marks that are left and mean nothing are gone.
    """
    words = language(locale).signs
    held: list[str] = []

    def keep(spoken: str) -> str:
        # What is spoken already must not be read as signs again.
        held.append(spoken)
        return f"\ue000{len(held) - 1}\ue001"

    text = _speak_names(text, words, keep)
    if words:
        text = _speak_values(text, words, keep)
        text = _speak_operators(text, words)
    text = _PIPE.sub(", ", text) if "|" in text.strip(" |") else text
    text = _BETWEEN_WORDS.sub(" ", text)
    text = _LEFT_OVER.sub(" ", text)
    for number in reversed(range(len(held))):
        text = text.replace(f"\ue000{number}\ue001", held[number])
    return _korean_endings(text) if "(" in text else text


def _speak_names(text: str, words: Mapping[str, str], keep: Callable[[str], str]) -> str:
    """Addresses, versions, file names."""
    text = _EMAIL.sub(lambda match: keep(_email(match.group(), words)), text)
    text = _URL.sub(lambda match: _keep_host(match.group(), keep), text)
    text = _HOST_PATH.sub(lambda match: _keep_host(match.group(), keep), text)
    if not words:
        return text
    point, dot = words.get("point", "."), words.get("dot", ".")
    text = _VERSION.sub(lambda match: keep(match.group().replace(".", f" {point} ").replace("v", "v ")), text)
    text = _FILE.sub(lambda match: keep(f"{_BETWEEN_WORDS.sub(' ', match[1])} {dot} {match[2]}"), text)
    return _HANDLE.sub(f"{words.get('at', '@')} ", text)


def _keep_host(url: str, keep: Callable[[str], str]) -> str:
    """An address as a person would say it: the host, without scheme, path and query."""
    trailing = url[len(url.rstrip(".,;:!?\"'…。，！？")) :]
    host = re.sub(r"^(?:https?://)?(?:www\.)?", "", url[: len(url) - len(trailing)], flags=re.IGNORECASE)
    return keep(re.split(r"[/?#:]", host, maxsplit=1)[0]) + trailing


def _email(address: str, words: Mapping[str, str]) -> str:
    trailing = address[len(address.rstrip(".-")) :]
    address = address[: len(address) - len(trailing)]
    if not words:
        return address + trailing
    for sign, name in (("@", "at"), (".", "dot"), ("_", "underscore"), ("-", "dash"), ("+", "plus")):
        address = address.replace(sign, f" {words.get(name, sign)} ")
    return " ".join(address.split()) + trailing


def _speak_values(text: str, words: Mapping[str, str], keep: Callable[[str], str]) -> str:
    """Telephone numbers, ranges, prices per something, and signs that belong to one word."""
    text = _PHONE.sub(lambda match: _phone(match, words, keep), text)
    text = _TIME_RANGE.sub(lambda match: _fill(words.get("to", "–"), match), text)
    text = _RANGE.sub(lambda match: _fill(words.get("to", "–"), match), text)
    text = _HYPHEN_RANGE.sub(lambda match: _fill(words.get("to", "-"), match), text)
    text = _PER.sub(lambda match: _fill(words.get("per", "/"), match), text)
    text = _ABOUT.sub(f"{words.get('about', '')} ", text)
    text = _SHARP.sub(lambda match: f"{match[1]} {words.get('sharp', '#')}", text)
    text = _PLUSES.sub(f" {words.get('plus', '+')} {words.get('plus', '+')}", text)
    text = _GRADE.sub(lambda match: f"{match[1]} {words.get('plus', '+')}", text)
    text = _HASH_NUMBER.sub(lambda match: _form(words.get("number", "#"), "", match[1]).strip(), text)
    return _HASHTAG.sub(f"{words.get('hashtag', '#')} ", text)


def _phone(match: re.Match[str], words: Mapping[str, str], keep: Callable[[str], str]) -> str:
    """Digits one by one, group by group; what has too few of them, or looks like a date, is left alone."""
    number = match.group()
    digits = re.sub(r"\D", "", number)
    groups = re.findall(r"\d+", number)
    dated = len(groups) == 3 and (len(groups[0]) == 4 or len(groups[2]) == 4) and len(digits) == 8
    decimals = "." in number and number.count(".") == 1
    spaced = not re.search(r"[+().-]", number)
    if not 8 <= len(digits) <= 15 or dated or decimals or spaced:
        return number
    lead = f"{words.get('plus', '+')} " if number.startswith("+") else ""
    names = words.get("digits", "")
    said = ("".join(names[int(digit)] for digit in group) if names else " ".join(group) for group in groups)
    return lead + keep(", ".join(said))


def _speak_operators(text: str, words: Mapping[str, str]) -> str:
    for pattern, name in _OPERATORS:
        if form := words.get(name):
            text = _apply(pattern, form, text)
    text = _SUPERSCRIPT.sub(
        lambda match: (
            match.group()
            if _UNIT_SQUARE.search(text[max(0, match.start() - 3) : match.end()])
            else "^" + match[1].translate(_SUPERSCRIPTS)
        ),
        text,
    )
    return _powers(text, words)


def _apply(pattern: re.Pattern[str], form: str, text: str) -> str:
    """Put a form in the place of an operator, from the left; what it leaves may be an operand again."""
    position = 0
    while match := pattern.search(text, position):
        spoken = _fill(form, match)
        text = text[: match.start()] + spoken + text[match.end() :]
        # The right operand may be the left one of the next operator.
        position = match.start() + max(0, len(spoken) - len(match.groupdict().get("b") or ""))
    return text


def _powers(text: str, words: Mapping[str, str]) -> str:
    def spoken(match: re.Match[str]) -> str:
        name = {"2": "squared", "3": "cubed"}.get(match["b"], "power")
        if name != "power" and match["a"][-1:].isdigit():
            name = "power" if "power" in words else name
        form = words.get(name, words.get("power", "^"))
        if name != "power" and "{" not in form:
            return f"{match['a']} {form}"
        return _form(form, match["a"], match["b"])

    return _POWER.sub(spoken, text)


def _fill(form: str, match: re.Match[str]) -> str:
    groups = match.groupdict()
    return _form(form, groups.get("a") or "", groups.get("b") or "")


def _form(form: str, left: str, right: str) -> str:
    """Put a form's words between, before or around its operands."""
    if "{" in form:
        return form.replace("{a}", left.strip()).replace("{b}", right.strip())
    return f"{left} {form} {right}"


def _infix(sign: str, *, spaced: bool = False) -> re.Pattern[str]:
    gap = r"\s+" if spaced else r"\s*"
    return re.compile(rf"{_A}{gap}(?:{sign}){gap}{_B}")


# In this order: longer signs first, comparisons after arithmetic, so that their operands are spoken already.
_OPERATORS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"√\s?(?P<b>[\w(]+\)?)"), "root"),
    (_infix("×|⋅|·(?=\\s?\\d)"), "times"),
    (re.compile(r"(?P<a>\d[\d.,]*|\b[a-zA-Z]|\))\s*\*\s*(?P<b>[-−]?\d[\d.,]*|[a-zA-Z]\b|\()"), "times"),
    (re.compile(r"(?P<a>\w)\s+\*\s+(?P<b>\w)"), "times"),
    (re.compile(rf"(?P<a>{_NUMBER})\s?x\s?(?P<b>{_NUMBER})"), "times"),
    (_infix("÷"), "divided"),
    (re.compile(rf"(?P<a>{_NUMBER}|\b[a-z]|\))\s+/\s+(?P<b>{_NUMBER}|[a-z]\b|\()"), "divided"),
    (re.compile(r"(?P<a>[\w)]*)\s*±\s*(?P<b>[\w(]+)"), "plus_minus"),
    (re.compile(rf"(?P<a>{_NUMBER}%?|\b[a-zA-Z]|[)²³])\s*\+\s*(?P<b>{_NUMBER}|[a-zA-Z]\b|\()"), "plus"),
    (re.compile(r"(?P<a>(?<!\S))\+(?P<b>\d+)"), "plus"),
    (re.compile(rf"(?P<a>{_NUMBER}%?|\b[a-zA-Z]|[)²³])\s+[-−–]\s+(?P<b>{_NUMBER}|[a-zA-Z]\b|\()"), "minus"),
    (re.compile(rf"(?P<a>{_NUMBER}|\b[a-z])[-−](?P<b>{_NUMBER}|[a-z]\b)(?=\s*=)"), "minus"),
    (re.compile(rf"(?P<a>(?<![\w.,)])) ?[-−](?P<b>{_NUMBER})(?![\w-])"), "minus"),
    (_infix("<=|≤|=<|⩽"), "at_most"),
    (_infix(">=|≥|⩾"), "at_least"),
    (_infix("!=|≠|<>"), "not_equal"),
    (_infix("->|=>|→|⇒|➔|➜"), "arrow"),
    (_infix("==?"), "equals"),
    (_infix("<"), "less"),
    (_infix(">"), "greater"),
    (_infix("≈|≃|≅"), "about"),
    (re.compile(r"(?P<a>\S)\s+&\s+(?P<b>\S)"), "and"),
    (re.compile(r"(?P<b>∞)"), "infinity"),
)
_POWER = re.compile(r"(?P<a>[\w.)]+)\s?(?:\^|\*\*)\s?[({]?(?P<b>[-−]?[\w.]+)[)}]?")

# How the names of digits and Latin letters end in Korean: with a consonant or not.
_KO_CONSONANT = frozenset("013678lmnrLMNR")


def _korean_endings(text: str) -> str:
    """Choose the particle that fits the sound before it."""

    def ending(match: re.Match[str]) -> str:
        before = text[: match.start()].rstrip()[-1:]
        closed = (ord(before) - 44032) % 28 != 0 if "가" <= before <= "힣" else before in _KO_CONSONANT
        first, second = {"은(는)": ("은", "는"), "이(가)": ("이", "가")}[match[1]]
        return first if closed else second

    return _KO_ENDING.sub(ending, text)
