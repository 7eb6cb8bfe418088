"""Every citation of a fact leads to a heading of docs/facts, and every heading tells something."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FACTS = ROOT / "docs" / "facts"
CITING = {".py", ".toml", ".md", ".sh", ".json", ".yaml", ".yml", ""}

# facts/live#lifetime, #closes; a list of headings may go on in the next line of a comment.
CITATION = re.compile(r"\bfacts/(?P<file>[\w-]+)(?P<suffix>\.md)?#(?P<first>[\w-]+)(?P<more>(?:,\s+(?:# )?#[\w-]+)*)")
# What citations looked like when the facts were no part of the project: a letter and a number, or a number alone.
STALE = re.compile(r"\b[Ff]acts (?:[A-G]\d+\b|(?:audio|engines|live|stt|tts|pipecat)[, ]+(?:[A-Z]{3}|\d|pitfall))")


def headings(text: str) -> set[str]:
    """Anchors of a document, as GitHub makes them."""
    titles = re.findall(r"^##+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.strip().lower()).replace(" ", "-") for title in titles}


def citations(text: str) -> list[tuple[str, str]]:
    """Document and heading of each citation in a text."""
    found = []
    for match in CITATION.finditer(text):
        anchors = [match["first"], *re.findall(r"#([\w-]+)", match["more"])]
        found += [(match["file"], anchor) for anchor in anchors]
    return found


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("needs a git checkout to know which files are the project's")
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.suffix in CITING and path.is_file() and path != Path(__file__)]


def test_citations_are_read() -> None:
    assert citations("see facts/live#lifetime, #closes and (facts/stt#limits: 5 minutes).") == [
        ("live", "lifetime"),
        ("live", "closes"),
        ("stt", "limits"),
    ]
    broken = "# facts/live#client-messages,\n    # #models)"
    assert citations(broken) == [("live", "client-messages"), ("live", "models")]
    assert STALE.search("(facts C8)") and STALE.search("facts audio 4") and not STALE.search("the facts that C knows")


def test_every_citation_has_its_heading() -> None:
    known = {path.stem: headings(path.read_text()) for path in FACTS.glob("*.md")}
    lost, cited = [], 0
    for path in tracked():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if STALE.search(line):
                lost.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()} (write facts/<file>#<heading>)")
        for file, anchor in citations(path.read_text()):
            cited += 1
            if anchor not in known.get(file, set()):
                lost.append(f"{path.relative_to(ROOT)}: facts/{file}#{anchor} has no heading")
    assert not lost, "\n".join(lost)
    assert cited > 100


def test_every_document_is_listed_and_says_something_under_each_heading() -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", (FACTS / "README.md").read_text()))
    assert listed == {path.name for path in FACTS.glob("*.md")} - {"README.md"}
    for path in FACTS.glob("*.md"):
        for section in re.split(r"^##+ ", path.read_text(), flags=re.MULTILINE)[1:]:
            title, _, body = section.partition("\n")
            assert body.strip(), f"{path.name}: nothing under {title}"
