"""The code blocks and command lines of the documents."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "README.ko.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "bench" / "README.md",
    ROOT / "examples" / "README.md",
]
_PROGRAMS = r"(?:make|halfcascade|pip|python3?|pytest|\.venv/bin/\w+)"


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Parameters:
        document: Where it stands.
        line: Number of its first line.
        kind: What the fence says, such as ``python``.
        text: What is in it.
    """

    document: Path
    line: int
    kind: str
    text: str

    @property
    def file(self) -> str:
        """The file that its first line names (``# shout.py``), or nothing."""
        first = re.match(r"# ([\w./-]+\.\w+)$", self.text.partition("\n")[0])
        return first[1] if first else ""

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def fenced(document: Path) -> list[Block]:
    """The fenced blocks of a document."""
    blocks, opened = [], None
    for number, line in enumerate(document.read_text("utf-8").splitlines(), 1):
        if opened is None and line.startswith("```"):
            opened = number, line[3:].strip(), []
        elif opened and line.startswith("```"):
            start, kind, lines = opened
            blocks.append(Block(document, start + 1, kind, "\n".join(lines) + "\n"))
            opened = None
        elif opened:
            opened[2].append(line)
    assert opened is None, f"{document}: a fence is not closed"
    return blocks


def commands(document: Path) -> Iterator[tuple[str, str]]:
    """Command lines: of shell blocks, indented blocks, and spans of code that begin with a program.

    Yields:
        Place and command line.
    """
    where = document.relative_to(ROOT)
    in_fence = ""
    after_blank = False
    for number, line in enumerate(document.read_text("utf-8").splitlines(), 1):
        if line.startswith("```"):
            in_fence = "" if in_fence else line[3:].strip() or "text"
            continue
        indented = line.startswith("    ") and (after_blank or line[4:5] != " ")
        if in_fence in ("sh", "bash", "console", "shell"):
            yield f"{where}:{number}", line.removeprefix("$ ")
        elif not in_fence and indented and re.match(rf"(?:\w+=\S+ )*(?:.*\| )?{_PROGRAMS}\b", line.strip()):
            yield f"{where}:{number}", line.strip()
        elif not in_fence:
            spans = re.findall(rf"`({_PROGRAMS} [^`…]+)`", line)
            yield from ((f"{where}:{number}", span) for span in spans)
        after_blank = not line.strip()
