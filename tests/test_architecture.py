"""Imports run the way that docs/architecture.md says, and names of folders are those of the project."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

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
