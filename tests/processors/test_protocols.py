"""Protocol logic has no I/O: what is below a ``protocol`` folder imports nothing that waits, sends or receives."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROTOCOLS = sorted((ROOT / "processors").glob("*/protocol"))
FORBIDDEN = (
    "asyncio",
    "pipecat",
    "socket",
    "grpc",
    "websockets",
    "aiohttp",
    "httpx",
    "threading",
    "google.cloud",
    "time",
)
OURS = "halfcascade."


def imports(path: Path) -> set[str]:
    """Modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def file_of(module: str) -> Path | None:
    """The file of one of our modules; None for others and for names in modules."""
    path = ROOT.joinpath(*module.removeprefix(OURS).split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


def reached(path: Path, seen: set[Path]) -> set[str]:
    """All foreign modules that a file imports, directly or through ours."""
    found: set[str] = set()
    for name in imports(path):
        if not name.startswith(OURS):
            found.add(name)
        elif (file := file_of(name)) and file not in seen:
            seen.add(file)
            found |= reached(file, seen)
    return found


def test_every_service_keeps_its_protocol_apart():
    assert {path.parent.name for path in PROTOCOLS} == {"chirp_tts", "gemini_live", "google_stt"}


@pytest.mark.parametrize(
    "path", [file for folder in PROTOCOLS for file in folder.rglob("*.py")], ids=lambda path: "/".join(path.parts[-3:])
)
def test_protocols_do_no_io(path):
    found = reached(path, {path})
    assert not [name for name in found for word in FORBIDDEN if name == word or name.startswith(f"{word}.")]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]


def test_a_service_uses_its_session_machine_through_its_methods_only():
    for name in ("service.py", "runner.py"):
        tree = ast.parse((ROOT / "processors/gemini_live" / name).read_text(encoding="utf-8"))
        deeper = [
            ast.unparse(node)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr in ("link", "turns", "history", "_exchange")
        ]
        assert deeper == []
