"""Imports run the way that docs/architecture.md says, and names of folders are those of the project."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {"bot": "bot", "processors": "processors", "transports": "transports", "emulator": "emulator", "package": ""}

# What a room must never need, whatever is installed.
FOREIGN = {
    "emulator": {"pipecat", "pyaudio", "pywebrtc_audio"},
    "processors": {"pyaudio", "pywebrtc_audio", "typer", "rich"},
    "transports": {"typer", "rich", "google", "grpc"},
    "package": {"pipecat", "pyaudio", "google", "numpy"},
}


def table() -> dict[str, set[str]]:
    """Packages, and what each may import, as the document has it."""
    rows = re.findall(
        r"^\| `([\w.]+)` \| [^|]* \| ([^|]*)\|$", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE
    )
    allowed = {name: set(re.findall(r"`([\w.]+)`", may)) for name, may in rows}
    for name, (_, may) in zip(allowed, rows, strict=True):
        if "every package of" in may:
            allowed[name] = {other for other in allowed if other.startswith("processors") and other != name}
        elif "all of the above" in may:
            allowed[name] = set(allowed) - {name}
    return allowed


ALLOWED = table()


def package_of(parts: list[str]) -> str:
    """The table's package that a module belongs to: the longest one that its name begins with."""
    for length in range(len(parts), 0, -1):
        if (name := ".".join(parts[:length])) in ALLOWED:
            return name
    return ""


def sources() -> Iterator[tuple[str, Path]]:
    for room, name in ROOMS.items():
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = [*([name] if name else []), *path.relative_to(ROOT / room).with_suffix("").parts]
            yield package_of(parts), path


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def names_in(node: ast.stmt) -> list[str]:
    """What a statement imports, if it is an import."""
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


@cache
def imported(path: Path) -> list[tuple[int, str]]:
    """Modules that a file imports, wherever in it, with the line."""
    statements = (node for node in ast.walk(tree(path)) if isinstance(node, ast.stmt))
    return [(statement.lineno, name) for statement in statements for name in names_in(statement)]


def loaded(path: Path) -> Iterator[str]:
    """Modules that a file imports when it is imported itself."""
    return (name for statement in tree(path).body for name in names_in(statement))


def test_the_table_has_every_package() -> None:
    found = {package for package, _ in sources()} - {""}
    assert found == set(ALLOWED), f"the table lacks {found - set(ALLOWED)}, the code {set(ALLOWED) - found}"
    assert all(may <= set(ALLOWED) for may in ALLOWED.values())
    folders = {f"processors.{path.parent.name}" for path in (ROOT / "processors").glob("*/__init__.py")}
    assert folders <= set(ALLOWED), f"the table lacks {folders - set(ALLOWED)}"


def test_imports_run_one_way() -> None:
    wrong = []
    for package, path in sources():
        for line, module in imported(path):
            parts = module.split(".")
            if parts[0] != "halfcascade" or not package:
                continue
            target = package_of(parts[1:])
            if target and target != package and target not in ALLOWED[package]:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {package} must not import {target} ({module})")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", FOREIGN)
def test_a_room_needs_nothing_foreign(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {module}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for line, module in imported(path)
        if module.split(".")[0] in FOREIGN[room]
    ]
    assert not wrong, f"{room} is to be used without it:\n" + "\n".join(wrong)


def test_nobody_imports_tests_benches_and_examples() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {module}"
        for _, path in sources()
        for line, module in imported(path)
        if module.split(".")[0] in ("tests", "bench", "examples")
    ]
    assert not wrong, "\n".join(wrong)


def test_what_may_import_whom_has_no_circle() -> None:
    left = dict(ALLOWED)
    while left:
        free = [name for name, may in left.items() if not may & set(left)]
        assert free, f"these may import one another in a circle: {sorted(left)}"
        for name in free:
            del left[name]


def test_what_files_load_has_no_circle() -> None:
    modules: dict[str, Path] = {}
    for room, name in ROOMS.items():
        for path in (ROOT / room).rglob("*.py"):
            parts = path.relative_to(ROOT / room).with_suffix("").parts
            modules[".".join(("halfcascade", *([name] if name else []), *parts)).removesuffix(".__init__")] = path

    def module_of(name: str) -> str | None:
        """The module that a name is, or else the one that it stands in."""
        return next((found for found in (name, name.rpartition(".")[0]) if found in modules), None)

    loads = {
        name: {found for other in loaded(path) if (found := module_of(other)) and found != name}
        for name, path in modules.items()
    }
    try:
        TopologicalSorter(loads).prepare()
    except CycleError as circle:
        pytest.fail(f"These load one another in a circle: {' ← '.join(circle.args[1])}")


def _catches_everything(node: ast.AST) -> TypeGuard[ast.ExceptHandler | ast.Call]:
    caught: list[ast.expr]
    if isinstance(node, ast.ExceptHandler):
        caught = [node.type] if node.type else [ast.Name("BaseException")]
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("suppress", "contextlib.suppress"):
        caught = node.args
    else:
        return False
    names = {name.id for kind in caught for name in ast.walk(kind) if isinstance(name, ast.Name)}
    return bool(names & {"Exception", "BaseException"})


def _tells(handler: ast.AST) -> bool:
    """Whether what was caught is used, raised again, or logged."""
    name = handler.name if isinstance(handler, ast.ExceptHandler) else None
    return isinstance(handler, ast.ExceptHandler) and any(
        isinstance(part, ast.Raise) or (isinstance(part, ast.Name) and part.id in (name, "logger"))
        for statement in handler.body
        for part in ast.walk(statement)
    )


def test_whoever_catches_everything_tells_what_it_was_or_why_not() -> None:
    silent = []
    for _, path in sources():
        lines = path.read_text().splitlines()
        for node in ast.walk(tree(path)):
            if not _catches_everything(node) or _tells(node):
                continue
            # A comment on its line, or before it, says why.
            if not any("#" in line for line in lines[node.lineno - 2 : node.lineno]):
                silent.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not silent, "These swallow any error and say neither which nor why:\n" + "\n".join(silent)


# What has no task manager: no pipeline, or a transport, which is none of its processors. Each awaits what it begins, or
# keeps it.
OWN_TASKS = {
    "processors/alone",
    "processors/racing.py",
    "processors/chirp_tts/probing.py",
    "transports/local/__init__.py",
    "transports/local/watchdog.py",
}


def test_processors_and_transports_leave_their_tasks_to_the_task_manager() -> None:
    own = []
    for room in ("processors", "transports"):
        for path in sorted((ROOT / room).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if any(name == one or name.startswith(f"{one}/") for one in OWN_TASKS):
                continue
            own += [
                f"{name}:{node.lineno}"
                for node in ast.walk(tree(path))
                if isinstance(node, ast.Attribute)
                and node.attr in ("create_task", "ensure_future")
                and ast.unparse(node.value) in ("asyncio", "loop", "self._loop", "asyncio.get_running_loop()")
            ]
    assert not own, "Tasks of a pipeline's parts are to be made by Pipecat's task manager:\n" + "\n".join(own)


_PROGRAMS = ("subprocess.run", "subprocess.check_output", "urllib.request.urlopen")


def test_whoever_waits_for_a_process_or_a_page_says_how_long() -> None:
    endless = []
    for _, path in sources():
        nodes = list(ast.walk(tree(path)))
        limited = {
            inner
            for node in nodes
            if (isinstance(node, ast.AsyncWith) and "timeout(" in ast.unparse(node.items[0]))
            or (isinstance(node, ast.Call) and ast.unparse(node.func) == "asyncio.wait_for")
            for inner in ast.walk(node)
        }
        for node in nodes:
            if not isinstance(node, ast.Call) or node in limited:
                continue
            called = ast.unparse(node.func)
            waits = called.endswith(".communicate") or called in _PROGRAMS
            if waits and not any(keyword.arg == "timeout" for keyword in node.keywords):
                endless.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not endless, "These wait for as long as somebody else likes:\n" + "\n".join(endless)
