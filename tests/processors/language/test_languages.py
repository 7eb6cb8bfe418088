"""The language files: each complete, all of them loadable, mistakes in one's own told in one line."""

from unicodedata import normalize as nfkc

import pytest

from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.language import add_languages, known, language, languages, normalize, phrases, turn_words
from halfcascade.processors.language.turn_words import LanguageTurnWords

COMPLETE = ["ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "pt", "th", "zh"]


@pytest.fixture
def own_folder(tmp_path):
    yield tmp_path
    if tmp_path in languages._folders:
        languages._folders.remove(tmp_path)
    languages._forget()


def test_the_languages_that_are_complete():
    assert set(COMPLETE) <= set(known())


@pytest.mark.parametrize("code", COMPLETE)
def test_a_complete_language_has_words_and_phrases(code):
    found = language(code)
    assert found.name and found.turns["answers"] and found.turns["backchannels"] and found.turns["backchannel_sounds"]
    assert found.before or found.after
    said = found.phrases
    assert len(said.fillers) > 1 and said.apology and said.listening
    assert all(len(texts) > 1 for texts in (said.openers.question, said.openers.request, said.openers.statement))
    assert all((said.shown.code, said.shown.table, said.shown.picture, said.shown.formula, said.shown.nothing))


@pytest.mark.parametrize("code", COMPLETE)
def test_the_lists_are_written_as_they_are_compared(code):
    for name, entries in language(code).turns.items():
        assert [entry for entry in entries if normalize(entry) != nfkc("NFKC", entry).casefold()] == [], name
        assert len(set(entries)) == len(entries), name


@pytest.mark.parametrize("code", COMPLETE)
def test_answers_and_backchannels_are_never_open_ended(code):
    words = LanguageTurnWords.of(language(code).turns)
    assert not [entry for entry in language(code).turns["answers"] if words.is_open_ended(entry)]
    assert all(words.is_backchannel(entry) for entry in language(code).turns["backchannels"])


@pytest.mark.parametrize(
    ("locale", "code"), [("ko-KR", "ko"), ("cmn-Hans-CN", "zh"), ("yue-HK", "zh"), ("EN_us", "en"), ("sv-SE", "sv")]
)
def test_locales_lead_to_their_language(locale, code):
    assert language(locale).code == code


def test_an_unknown_language_has_no_words_and_english_excuses():
    assert language("sv-SE").name == ""
    assert language("").turns == {}
    assert phrases("sv-SE").apology == phrases("en-US").apology
    assert phrases("sv-SE").openers.question == ()
    assert not turn_words("sv-SE").is_backchannel("yeah")


def test_a_language_of_ones_own_is_one_file(own_folder):
    (own_folder / "sv.toml").write_text('name = "Svenska"\n[turns]\nbackchannels = ["just det", "jaha"]\n')
    add_languages(own_folder)
    assert "sv" in known()
    assert turn_words("sv-SE").is_backchannel("Just det.")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("cmn.toml", 'name = "中文"', "Two files describe the language 'zh': .*zh.toml and .*cmn.toml"),
        ("sv.toml", "name =", "sv.toml is not valid"),
        ("sv.toml", "[turn]\n", "there is no 'turn', only name, "),
        ("sv.toml", '[turns]\nback = ["ja"]\n', r"\[turns\] has no 'back', only announcing, answers"),
        ("sv.toml", '[turns]\nanswers = "ja"\n', "'answers' must be a list of texts"),
        ("sv.toml", '[phrases.openers]\nwhatever = ["ja"]\n', "whatever"),
    ],
)
def test_mistakes_in_a_file_are_one_line(own_folder, name, text, told):
    (own_folder / name).write_text(text)
    with pytest.raises(ConfigurationError, match=told) as caught:
        add_languages(own_folder)
        language("sv")
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ConfigurationError, match="no folder"):
        add_languages(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "open_ended"),
    [
        # Portuguese "do", "no", French "on", "son": no open ends of an English sentence.
        ("What should I do", False),
        ("This is my son", False),
        ("Please turn it on", False),
        ("I would like to", True),
        ("Eu gosto do", True),
        ("Je voudrais un", True),
        ("Ich möchte mit dem", True),
        ("오늘 날씨를", True),
        ("오늘 날씨 알려 줘", False),
        ("मुझे मौसम के", True),
        ("أريد أن", True),
        ("我想去北京因为", True),
    ],
)
def test_without_a_language_the_words_choose_it(text, open_ended):
    assert turn_words("auto").is_open_ended(text) is open_ended
