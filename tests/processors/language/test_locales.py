"""Every locale of Chirp 3 HD through the segmenter, word joining and heard words."""

import re
import tomllib
from functools import reduce
from pathlib import Path
from unicodedata import normalize as normalize_

import pytest

from halfcascade.emulator.tts.catalogue import LOCALES
from halfcascade.processors.chirp_tts.segmenter import SpeechSegmenter
from halfcascade.processors.language import (
    ends_clause,
    has_unspaced,
    join_text,
    language,
    needs_space,
    normalize,
    spoken_words,
)

REPLIES: dict[str, list[str]] = tomllib.loads(Path(__file__).with_name("locales.toml").read_text("utf-8"))
ALL = sorted({*LOCALES, "km-KH", "lo-LA", "my-MM"})


def reply(locale: str) -> tuple[list[str], str]:
    sentences = REPLIES[locale.split("-", maxsplit=1)[0]]
    text = reduce(lambda head, tail: head + " " * needs_space(head, tail, sentence=True) + tail, sentences)
    return sentences, text


def pieces(locale: str, text: str, size: int) -> list[str]:
    segmenter = SpeechSegmenter(locale)
    cut = [segment.text for i in range(0, len(text), size) for segment in segmenter.feed(text[i : i + size])]
    return cut + [segment.text for segment in segmenter.flush()]


@pytest.mark.parametrize("locale", ALL)
@pytest.mark.parametrize("size", [1, 6, 1000])
def test_replies_are_cut_after_sentences_and_clauses(locale, size):
    sentences, text = reply(locale)
    cut = pieces(locale, text, size)
    assert "".join(cut) == text
    found = [piece.strip() for piece in cut]
    # The first piece may be a clause; all that follows is whole sentences.
    rest = join_text(found[0], found[1]) if found[0] != sentences[0] else found[0]
    if found[0] != sentences[0]:
        known = language(locale)
        opens = normalize(spoken_words(found[1])[0].text)
        assert ends_clause(found[0]) or found[0].endswith(known.after or ("\0",)) or opens in known.before
        found = [rest, *found[2:]]
    assert found == sentences


@pytest.mark.parametrize("locale", ALL)
def test_sentences_are_heard_word_by_word(locale):
    sentences, text = reply(locale)
    for sentence in sentences:
        words = spoken_words(sentence, locale)
        assert len(words) >= (2 if len(sentence) > 9 else 1), sentence
        assert max(word.units for word in words) < 8, [word.text for word in words]
    words = spoken_words(text, locale)
    assert ("" if has_unspaced(text) else " ").join(word.text for word in words) == text
    assert all(re.search(r"\w", word.text) for word in words)


@pytest.mark.parametrize("locale", ALL)
def test_words_that_arrive_one_by_one_give_the_text_back(locale):
    for sentence in reply(locale)[0]:
        joined = reduce(join_text, (word.text for word in spoken_words(sentence, locale)), "")
        assert joined.replace(" ", "") == sentence.replace(" ", "")
        if not has_unspaced(sentence):
            assert joined == sentence


@pytest.mark.parametrize("locale", ALL)
def test_normalizing_keeps_every_letter_and_vowel_sign(locale):
    for sentence in reply(locale)[0]:
        kept = normalize(sentence).replace(" ", "")
        assert kept == normalize_("NFKC", re.sub(r"[-\s\'.,;:!?¿，。、！？،؟۔।၊။។]", "", sentence).casefold())
