"""What the documents show is real: code compiles and imports, commands, options, targets and extras exist."""

import ast
import importlib
import importlib.util
import json
import re
import shlex
import tomllib

import click
import pytest
import typer
from pipecat.frames import frames as pipecat_frames

from halfcascade.bot import cli
from halfcascade.emulator import __main__ as emulator
from halfcascade.processors import frames
from tests.docs.blocks import DOCUMENTS, ROOT, Block, commands, fenced

BLOCKS = [block for document in DOCUMENTS for block in fenced(document)]
COMMANDS = [entry for document in DOCUMENTS for entry in commands(document)]
FILES = {block.file for block in BLOCKS if block.file}
OTHER_KINDS = {"", "text", "sh", "bash", "console", "ini", "html", "js", "jsonl", "xml", "markdown", "diff"}
# Folders whose modules are run with `python -m` in a checkout.
RUNNABLE = {"bot": cli.app, "halfcascade": cli.app, "emulator": emulator.app}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_block(block: Block) -> None:
    match block.kind:
        case "python":
            check_python(block)
        case "toml":
            tomllib.loads(block.text)
        case "json":
            json.loads(block.text)
        case "yaml" | "yml":
            pytest.importorskip("yaml").safe_load(block.text)
        case _:
            assert block.kind in OTHER_KINDS, f"{block.place}: what is {block.kind}?"


def check_python(block: Block) -> None:
    tree = ast.parse(block.text)
    assert block.file, f"{block.place}: begin the block with the name of its file, as in `# shout.py`"
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                assert alias.name + ".py" in FILES or importlib.util.find_spec(alias.name), alias.name
        elif isinstance(node, ast.ImportFrom) and f"{node.module}.py" not in FILES:
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                known = hasattr(module, alias.name) or importlib.util.find_spec(f"{node.module}.{alias.name}")
                assert known, f"{block.place}: {node.module} has no {alias.name}"


def test_there_is_much_to_check() -> None:
    assert len(BLOCKS) >= 5 and len(COMMANDS) >= 20


@pytest.mark.parametrize(("place", "line"), COMMANDS, ids=lambda value: value[:50])
def test_command_line(place: str, line: str) -> None:
    for words in simple_commands(line):
        check_command(place, words)


def simple_commands(line: str) -> list[list[str]]:
    """Cut a line at pipes and the like; leave out comments, assignments and redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if word and set(word) <= set("|&;"):
            found.append([])
        else:
            found[-1].append(word)
    return [strip(words) for words in found if strip(words)]


def strip(words: list[str]) -> list[str]:
    while words and re.match(r"^\w+=", words[0]):
        words = words[1:]
    return words


def check_command(place: str, words: list[str]) -> None:
    program = words[0].removeprefix(".venv/bin/")
    if program == "make":
        targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        wanted = {word for word in words[1:] if "=" not in word and not word.startswith("-")}
        assert wanted <= targets, f"{place}: make has no {wanted - targets}"
    elif program == "halfcascade":
        check_options(place, cli.app, words[1:])
    elif re.fullmatch(r"python3?", program) and words[1:2] == ["-m"]:
        check_module(place, words[2], words[3:])
    if "install" in words and any(word.startswith("halfcascade") for word in words):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        for extras in re.findall(r"halfcascade\[([\w,]+)\]", " ".join(words)):
            unknown = set(extras.split(",")) - set(project["optional-dependencies"])
            assert not unknown, f"{place}: there is no extra {unknown}"


def check_module(place: str, module: str, arguments: list[str]) -> None:
    if module in RUNNABLE:
        check_options(place, RUNNABLE[module], arguments)
    else:
        assert importlib.util.find_spec(module), f"{place}: there is no module {module}"


def check_options(place: str, app: typer.Typer, arguments: list[str]) -> None:
    command: click.Command = typer.main.get_command(app)  # type: ignore[assignment]
    known = {"--help", "-h"}
    if (subcommands := getattr(command, "commands", None)) is not None:
        name = arguments[0] if arguments and not arguments[0].startswith("-") else "talk"
        known |= {option for parameter in command.params for option in parameter.opts}
        assert name in subcommands, f"{place}: there is no command {name}"
        command = subcommands[name]
    if command.allow_extra_args or command.ignore_unknown_options:
        return
    for parameter in command.params:
        known |= {*parameter.opts, *parameter.secondary_opts}
    given = {word.partition("=")[0] for word in arguments if re.match(r"-{1,2}[a-z]", word)}
    assert given <= known, f"{place}: {command.name} has no {sorted(given - known)}"


def test_links_lead_somewhere() -> None:
    lost = []
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
            path = target.partition("#")[0]
            if "://" not in target and path and not (document.parent / path).exists():
                lost.append(f"{document.relative_to(ROOT)}: {target}")
    assert not lost, "\n".join(lost)


def test_frames_that_the_glossary_names_exist() -> None:
    named = set(re.findall(r"`(\w+Frame)`", (ROOT / "docs" / "glossary.md").read_text()))
    unknown = {name for name in named if not (hasattr(frames, name) or hasattr(pipecat_frames, name))}
    assert named and not unknown, unknown
