"""Korean particles behind what is put into a line: 은 or 는, 을 or 를, as the word before them ends."""

import re

# Both forms as the catalogue writes them, and which one stands behind a consonant, and behind a vowel.
_FORMS = {
    "은(는)": ("은", "는"),
    "이(가)": ("이", "가"),
    "을(를)": ("을", "를"),
    "과(와)": ("과", "와"),
    "(으)로": ("으로", "로"),
}
_PARTICLE = re.compile(rf"([가-힣0-9])([\"'`”’]*)({'|'.join(map(re.escape, _FORMS))})")
_FIRST_SYLLABLE, _FINALS, _RIEUL = 0xAC00, 28, 8
# How the digits are read ends in these: 영, 일, 이, 삼, 사, 오, 육, 칠, 팔, 구.
_DIGITS = "영일이삼사오육칠팔구"


def choose_particles(line: str) -> str:
    """Choose between the two forms of particles, where the word before tells; behind other letters both stay.

    Args:
        line: With particles such as ``을(를)``.
    """
    return _PARTICLE.sub(lambda found: found[1] + found[2] + _chosen(found[1], found[3]), line)


def _chosen(letter: str, particle: str) -> str:
    syllable = _DIGITS[int(letter)] if letter.isdecimal() else letter
    final = (ord(syllable) - _FIRST_SYLLABLE) % _FINALS
    consonant, vowel = _FORMS[particle]
    return vowel if not final or (final == _RIEUL and particle == "(으)로") else consonant
