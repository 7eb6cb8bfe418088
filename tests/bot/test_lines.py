import ast
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfcascade.bot.lines import CATALOGUES, read_catalogue, tr, tr_error, use_language
from halfcascade.bot.report.page import lines_of_the_page
from halfcascade.bot.screen.view import _STAGES
from halfcascade.processors.google_errors import _TABLE, GEMINI_LIVE, SPEECH_TO_TEXT, ProblemKind, problem
from tests.bot.support import ROOT


def lines_of_the_code() -> set[str]:
    found = {name for _, name, _ in _STAGES} | lines_of_the_page()
    for path in (ROOT / "bot").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tr":
                assert node.args, path
                if isinstance(node.args[0], ast.Constant):
                    found.add(node.args[0].value)
    return found


def template(node: ast.AST) -> str | None:
    """A text of the code as a catalogue has it: its values are numbered."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return None
    numbers = itertools.count()
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else f"{{{next(numbers)}}}" for part in node.values
    )


def texts_of_the_code() -> tuple[set[str], set[str]]:
    """All texts of the code, and the one-line errors for which there is no further file to look into."""
    texts, errors = set(), set()
    for room in ("processors", "transports", "emulator", "bot"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                texts |= {told} if (told := template(node)) else set()
                if room in ("processors", "transports") and isinstance(node, ast.Call) and node.args:
                    named = node.func.id if isinstance(node.func, ast.Name) else ""
                    told = template(node.args[0])
                    errors |= {told} if named == "ConfigurationError" and told else set()
    return texts, errors


@pytest.mark.parametrize("path", sorted(CATALOGUES.glob("*.po")), ids=lambda path: path.stem)
def test_every_line_is_translated_with_its_values(path):
    told = read_catalogue(path)
    wanted = lines_of_the_code()
    texts, errors = texts_of_the_code()
    wanted |= errors | {text for pair in _TABLE.values() for text in pair if text != "{sign_in}"}
    assert wanted - told.keys() == set()
    assert told.keys() - wanted - texts - {""} == set()
    for line in told.keys() - {""}:
        assert told[line], line
        assert sorted(re.findall(r"{[^}]*}", line)) == sorted(re.findall(r"{[^}]*}", told[line])), line


def test_lines_follow_the_language_and_fall_back_to_english(monkeypatch):
    use_language("ko-KR")
    assert tr("Talk now; Ctrl-C ends.") == "이제 말하세요. Ctrl-C로 끝냅니다."
    assert tr("a line that nobody translated") == "a line that nobody translated"
    for code in ("en-US", "xx-XX", "", "../../etc"):
        use_language(code)
        assert tr("Talk now; Ctrl-C ends.") == "Talk now; Ctrl-C ends."
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("locale.getlocale", lambda *_: ("ko_KR", "UTF-8"))
    use_language(None)
    assert tr("Loading") == "불러오는 중"


def test_a_catalogue_as_tools_write_it(tmp_path):
    path = tmp_path / "x.po"
    path.write_text(
        '#, fuzzy\nmsgid ""\nmsgstr ""\n"A: b\\n"\n\n#: x\nmsgid "one "\n"two"\nmsgstr ""\n"eins \\"zwei\\""\n'
    )
    assert read_catalogue(path) == {"": "A: b\n", "one two": 'eins "zwei"'}


@pytest.mark.parametrize("kind", ProblemKind)
@pytest.mark.parametrize("service", [SPEECH_TO_TEXT, GEMINI_LIVE])
@pytest.mark.parametrize("said", ["", "Cloud Speech-to-Text API (v2): it is disabled (see a page)"])
def test_what_google_refuses_is_told_in_korean_with_its_own_words(kind, service, said):
    use_language("ko-KR")
    told = tr_error(problem(kind, service, said).line)
    assert service.name in told and said in told
    outside = re.sub(r"`[^`]*`", "", told.replace(said, "").replace(service.name, ""))
    assert not re.search(r"[a-z]{3,} [a-z]{3,}", outside), told


@given(st.text(), st.text(alphabet=":(). ", min_size=1))
def test_a_line_that_nobody_knows_stays_as_it_is(words, signs):
    use_language("ko-KR")
    line = f"Xyzzy {words}{signs}{words}"
    assert tr_error(line) == line or any("가" <= letter <= "힣" for letter in tr_error(line))
    assert tr_error("") == ""


def test_the_locale_of_the_environment_counts_where_it_is_not_installed(monkeypatch):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "ko_KR.UTF-8")
    use_language(None)
    assert tr("Loading") == "불러오는 중"
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    use_language(None)
    assert tr("Loading") == "Loading"
