"""Imports run the way that docs/architecture.md says, and names of folders are those of the project."""

import ast
import re
from collections.abc import Iterator
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


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Modules that a file imports, wherever in it, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


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
