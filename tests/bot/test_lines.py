import ast
import re

import pytest

from halfcascade.bot.lines import CATALOGUES, read_catalogue, tr, use_language
from halfcascade.bot.screen.view import _STAGES
from tests.bot.support import ROOT


def lines_of_the_code() -> set[str]:
    found = {name for _, name, _ in _STAGES}
    for path in (ROOT / "bot").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tr":
                assert node.args, path
                if isinstance(node.args[0], ast.Constant):
                    found.add(node.args[0].value)
    return found


@pytest.fixture(autouse=True)
def english_again():
    yield
    use_language("en-US")


@pytest.mark.parametrize("path", sorted(CATALOGUES.glob("*.po")), ids=lambda path: path.stem)
def test_every_line_is_translated_with_its_values(path):
    told = read_catalogue(path)
    wanted = lines_of_the_code()
    assert wanted - told.keys() == set()
    assert told.keys() - wanted - {""} == set()
    for line in wanted:
        assert told[line], line
        assert sorted(re.findall(r"{[^}]*}", line)) == sorted(re.findall(r"{[^}]*}", told[line])), line


def test_lines_follow_the_language_and_fall_back_to_english(monkeypatch):
    use_language("ko-KR")
    assert tr("Talk now; Ctrl-C ends.") == "이제 말하세요. Ctrl-C로 끝냅니다."
    assert tr("a line that nobody translated") == "a line that nobody translated"
    for code in ("en-US", "xx-XX", "", "../../etc"):
        use_language(code)
        assert tr("Talk now; Ctrl-C ends.") == "Talk now; Ctrl-C ends."
    monkeypatch.setattr("locale.getlocale", lambda *_: ("ko_KR", "UTF-8"))
    use_language(None)
    assert tr("Loading") == "불러오는 중"


def test_a_catalogue_as_tools_write_it(tmp_path):
    path = tmp_path / "x.po"
    path.write_text(
        '#, fuzzy\nmsgid ""\nmsgstr ""\n"A: b\\n"\n\n#: x\nmsgid "one "\n"two"\nmsgstr ""\n"eins \\"zwei\\""\n'
    )
    assert read_catalogue(path) == {"": "A: b\n", "one two": 'eins "zwei"'}
