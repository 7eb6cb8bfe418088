import ast
import errno
import io
import itertools
import os
import re
from collections import Counter
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from halfcascade.bot.cli import app
from halfcascade.bot.environment import OTHER_NAMES
from halfcascade.bot.listings import GOOGLE_NAMES, describe_settings
from halfcascade.bot.report.page import lines_of_the_page
from halfcascade.bot.screen.view import _STAGES
from halfcascade.bot.serve.settings import ServeSettings
from halfcascade.bot.settings import Settings
from halfcascade.emulator.__main__ import app as emulator
from halfcascade.lines import CATALOGUES, read_catalogue, read_nested, tr, tr_error, use_language
from halfcascade.particles import choose_particles
from halfcascade.processors.google_errors import _TABLE, GEMINI_LIVE, SPEECH_TO_TEXT, ProblemKind, problem
from tests.bot.support import ROOT


def lines_of_the_code() -> set[str]:
    found = {name for _, name, _ in _STAGES} | lines_of_the_page()
    for path in (path for room in ("package", "emulator", "bot") for path in (ROOT / room).rglob("*.py")):
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


PYDANTIC = "Input should be "
TYPER = ("No such ", "{0} is not one of ", "Invalid value for ", "Missing argument ", "Got unexpected ", "Option {0} ")
ERRORS = {"ConfigurationError", "SynthesisError", "MindError", "EmulatorError"}
TOLD = {"fail", "warn", "_on_error"}
PYTHON = ("No module named ", "module {0} has no attribute ")
SAYINGS = {"say", "working"}


def lines_of_the_help() -> set[str]:
    root: Any = typer.main.get_command(app)
    found = {"Show this message and exit."}
    for command in (root, *root.commands.values(), typer.main.get_command(emulator)):
        found |= {" ".join(paragraph.split()) for paragraph in command.help.split("\n\n")}
        found |= {param.help for param in command.params}
        found |= {given for param in command.params if " " in (given := str(param.show_default))}
    return found


def has_words(text: str) -> bool:
    return bool(re.search(r"[A-Za-z]{3,}", re.sub(r"{[^}]*}", "", text)))


def texts_of_the_code() -> tuple[set[str], set[str], set[str]]:
    """All texts of the code; the one-line errors that reach a person; and what is said past the catalogue."""
    texts, errors, said = set(), set(), set()
    rooms = ("package", "processors", "transports", "emulator", "bot")
    modules = [(room, ast.parse(path.read_text("utf-8"))) for room in rooms for path in (ROOT / room).rglob("*.py")]
    telling = TOLD | kinds_of_errors([module for _, module in modules])
    for room, module in modules:
        # A text that several raise has a name in its module.
        constants = {
            target.id: node.value
            for node in module.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(module):
            texts |= {told} if (told := template(node)) else set()
            if not isinstance(node, ast.Call) or not node.args:
                continue
            named = getattr(node.func, "id", "") or getattr(node.func, "attr", "")
            first = node.args[0]
            told = template(constants.get(first.id, first) if isinstance(first, ast.Name) else first)
            if told and has_words(told):
                errors |= {told} if named in telling else set()
                said |= {told} if named in SAYINGS and room == "bot" else set()
    return texts, errors, said


def kinds_of_errors(modules: list[ast.Module]) -> set[str]:
    """Names of the classes whose text reaches a person, those that derive from them included."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for module in modules
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef)
    }
    found = set(ERRORS)
    while more := {name for name, of in bases.items() if of & found} - found:
        found |= more
    return found


@pytest.mark.parametrize("path", sorted(CATALOGUES.glob("*.po")), ids=lambda path: path.stem)
def test_every_line_is_translated_with_its_values(path):
    told = read_catalogue(path)
    wanted = lines_of_the_code()
    texts, errors, said = texts_of_the_code()
    assert said == set(), "what is said goes through tr() or tr_error()"
    wanted |= errors | {text for pair in _TABLE.values() for text in pair if text != "{sign_in}"}
    wanted |= lines_of_the_help() | {*describe_settings().values(), *GOOGLE_NAMES.values(), *OTHER_NAMES.values()}
    assert wanted - told.keys() == set()
    systems = set(re.findall(r'^#: of the system\nmsgid "(.+)"', path.read_text("utf-8"), re.MULTILINE))
    ours = {line for line in told if not line.startswith((PYDANTIC, *TYPER, *PYTHON))} - systems
    assert ours - wanted - texts - {""} == set()
    for line in told.keys() - {""}:
        assert told[line], line
        assert sorted(re.findall(r"{[^}]*}", line)) == sorted(re.findall(r"{[^}]*}", told[line])), line


def test_lines_follow_the_language_and_fall_back_to_english(monkeypatch):
    use_language("ko-KR")
    assert tr("Talk now; Ctrl-C ends.") == "이제 말하세요. Ctrl-C로 끝냅니다."
    assert tr("a line that nobody translated") == "a line that nobody translated"
    monkeypatch.setenv("LC_ALL", "C")
    for code in ("en-US", "xx-XX", "", "../../etc"):
        use_language(code)
        assert tr("Talk now; Ctrl-C ends.") == "Talk now; Ctrl-C ends."
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("locale.getlocale", lambda *_: ("ko_KR", "UTF-8"))
    use_language(None)
    assert tr("Loading") == "불러오는 중"


def test_who_talks_in_a_language_without_lines_reads_those_of_the_locale(monkeypatch):
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    for talk, told in (
        ("fr-FR", "불러오는 중"),
        ("xx-YY", "불러오는 중"),
        ("en-US", "Loading"),
        ("ko-KR", "불러오는 중"),
    ):
        use_language(talk)
        assert tr("Loading") == told


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.ENOENT, errno.EISDIR, errno.EROFS])
def test_what_the_system_says_is_told_in_korean(number):
    use_language("ko-KR")
    cause = os.strerror(number)
    for line in (
        f"The session folder a cannot be written ({cause}): name another one with --session.",
        f"The notes bot cannot be written ({cause}): name another file.",
    ):
        assert cause not in tr_error(line) and tr_error(cause) in tr_error(line)


def test_a_catalogue_as_tools_write_it(tmp_path):
    path = tmp_path / "x.po"
    path.write_text(
        '#, fuzzy\nmsgid ""\nmsgstr ""\n"A: b\\n"\n\n#: x\nmsgid "one "\n"two"\nmsgstr ""\n"eins \\"zwei\\""\n'
    )
    assert read_catalogue(path) == {"": "A: b\n", "one two": 'eins "zwei"'}


@pytest.mark.parametrize("of", [Settings, ServeSettings])
def test_what_is_wrong_with_a_setting_is_told_in_korean(of):
    use_language("ko-KR")
    refused = set()
    for name, value in itertools.product(of.model_fields, ("never", "-1", "1e9", "nan", "0")):
        try:
            of(_env_file=None, **{name: value})
        except ValidationError as error:
            refused |= {each["msg"] for each in error.errors()}
    assert len(refused) > 4
    for line in refused:
        told = tr_error(line)
        assert told != line and not re.search("should|valid|than", told), line


@pytest.mark.parametrize("kind", ProblemKind)
@pytest.mark.parametrize("service", [SPEECH_TO_TEXT, GEMINI_LIVE])
@pytest.mark.parametrize("said", ["", "Cloud Speech-to-Text API (v2): it is disabled (see a page)"])
def test_what_google_refuses_is_told_in_korean_with_its_own_words(kind, service, said):
    use_language("ko-KR")
    told = tr_error(problem(kind, service, said).line)
    assert service.name in told and said in told
    outside = re.sub(r"`[^`]*`", "", told.replace(said, "").replace(service.name, ""))
    assert not re.search(r"[a-z]{3,} [a-z]{3,}", outside), told


def test_each_line_is_translated_once():
    lines = re.findall(r'^msgid ("(?:.*)"(?:\n".*")*)', (CATALOGUES / "ko.po").read_text("utf-8"), re.MULTILINE)
    assert len(lines) > 500
    assert [line for line, times in Counter(lines).items() if times > 1] == []


@given(st.text(), st.text(alphabet=":(). ", min_size=1))
def test_a_line_that_nobody_knows_stays_as_it_is(words, signs):
    use_language("ko-KR")
    line = f"Xyzzy {words}{signs}{words}"
    assert tr_error(line) == line or any("가" <= letter <= "힣" for letter in tr_error(line))
    assert tr_error("") == ""


# Words that a person may type as the name of anything, and that are lines of the catalogue, or made of its templates.
TYPED = ["bot", "check list", "such as these", "The voice"]
NOBODYS_WORD = "xyzzy"


@pytest.mark.parametrize("typed", TYPED)
def test_what_a_person_typed_stays_as_it_is(typed):
    use_language("ko-KR")
    nested = read_nested(CATALOGUES / "ko.po")
    lines = read_catalogue(CATALOGUES / "ko.po").keys()
    assert nested.keys() <= lines
    cases = [
        (line, slot)
        for line in lines
        for slot in {*re.findall(r"{(\w+)", line)} - {*nested.get(line, ())}
        # Where one value follows the other, nobody types them: a model that answers has a name without spaces.
        if len(re.sub(r"{.*?}", "", line)) >= 15 and "} {" not in line
    ]
    assert len(cases) > 250
    for line, slot in cases:
        parts = re.split(rf"{{{slot}.*?}}", re.sub(rf"{{(?!{slot}\b)\w+.*?}}", "17", line))
        told = tr_error(typed.join(parts))
        assert told == tr_error(NOBODYS_WORD.join(parts)).replace(NOBODYS_WORD, typed), line


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "--processor bot cannot be loaded (No module named 'bot'): give it as package.module:factory, importable "
            "from here.",
            "--processor bot을(를) 불러올 수 없습니다('bot' 모듈이 없음): ",
        ),
        (
            "The user audio voice does not exist: give a WAV file that holds speech.",
            "사용자 녹음 voice이(가) 없습니다: 말소리가 ",
        ),
        (
            "There is no microphone called “bot”: choose from bot.",
            "“bot”에 맞는 마이크 없음: 다음 중에서 고르세요: bot.",
        ),
        ("bot: No such file", "bot: No such file"),
    ],
)
def test_names_are_kept_where_the_words_around_them_are_translated(line, told):
    use_language("ko-KR")
    assert tr_error(line).startswith(told)


def test_a_terminal_that_lacks_the_letters_is_told_in_english(monkeypatch):
    for encoding, told in (
        ("ascii", "Loading"),
        ("cp1252", "Loading"),
        ("cp949", "불러오는 중"),
        ("utf-8", "불러오는 중"),
    ):
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
        use_language("ko-KR")
        assert tr("Loading") == told


def test_the_locale_of_the_environment_counts_where_it_is_not_installed(monkeypatch):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "ko_KR.UTF-8")
    use_language(None)
    assert tr("Loading") == "불러오는 중"
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    use_language(None)
    assert tr("Loading") == "Loading"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("에뮬레이터과(와)", "에뮬레이터와"),
        ("이유을(를)", "이유를"),
        ("인증이(가)", "인증이"),
        ("'서울'(으)로", "'서울'로"),
        ("부산(으)로", "부산으로"),
        ("2026은(는)", "2026은"),
        ("1.14(으)로", "1.14로"),
        ("Google을(를)", "Google을(를)"),
        ("을(를)", "을(를)"),
    ],
)
def test_particles_are_those_of_the_word_before(line, told):
    assert choose_particles(line) == told


def test_particles_are_chosen_in_every_way_that_lines_are_filled():
    use_language("ko-KR")
    told = tr("Talking to {backend}, because {reason}.").format(backend="에뮬레이터", reason="")
    assert told.startswith("에뮬레이터와 ")
    assert tr_error("Missing argument 'DIR'.").startswith("인수 'DIR'이(가) ")
    assert tr_error("Missing argument '폴더'.").startswith("인수 '폴더'가 ")


def test_how_a_command_is_called_is_told_in_korean(monkeypatch):
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    for arguments, told in ((["--help"], "[옵션] 명령 [인수]..."), (["talk", "--help"], "talk [옵션]\n")):
        shown = CliRunner().invoke(app, arguments, prog_name="halfcascade").output
        assert told in shown and "OPTIONS" not in shown
