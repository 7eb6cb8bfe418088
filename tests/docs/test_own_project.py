"""The code blocks of the documents, pasted into a project of one's own that has nothing but the installed package."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.blocks import DOCUMENTS, ROOT, fenced

pytestmark = pytest.mark.slow
WITH_FILES = [document for document in DOCUMENTS if any(block.file for block in fenced(document))]
TALK = ROOT / "tests" / "data" / "talks" / "errands"
UV = Path(sys.executable).with_name("uv")


def run(*command: object, folder: Path) -> str:
    # Nothing of this checkout: neither its folders nor its settings.
    kept = ("PYTHONPATH", "VIRTUAL_ENV", "HALFCASCADE_", "GOOGLE_", "PYTEST_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(kept)}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def python_with(tmp_path_factory: pytest.TempPathFactory, distributions: dict[str, Path]) -> Callable[[str], Path]:
    """Makes a Python that has the wheel with an extra, and what docs/extending.md asks for."""
    if not UV.exists():
        pytest.skip("needs uv, which `make .venv/.uv` installs")
    folder = tmp_path_factory.mktemp("environment")
    wheel = distributions["wheel"]

    @functools.cache
    def make(extra: str) -> Path:
        run(UV, "venv", "--python", sys.executable, folder / extra, folder=folder)
        python = folder / extra / "bin" / "python"
        run(UV, "pip", "install", "--python", python, f"{wheel}[{extra}]", "pytest", "pytest-asyncio", folder=folder)
        return python

    return make


def plant_talk(python: Path, folder: Path) -> None:
    """Leave a talk where the document has one: a replay's, as it advises.

    Whether the small language model judged ends of turns decides when answers come, and this environment has none, so
    that the kept talk of the tests was saved under other conditions.
    """
    replay = (
        f"from halfcascade.bot.replay.talk import replay_talk as again; again(Path({str(TALK)!r}), Path('talks/cafe'))"
    )
    run(python, "-c", f"from pathlib import Path; {replay}", folder=folder)


@pytest.mark.parametrize("document", WITH_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_pasted_works(document: Path, python_with: Callable[[str], Path], tmp_path: Path) -> None:
    python = python_with("serve" if "halfcascade[serve]" in document.read_text("utf-8") else "bot")
    blocks = [block for block in fenced(document) if block.file]
    for block in blocks:
        (tmp_path / block.file).write_text(block.text)
    for block in blocks:
        name = Path(block.file)
        if name.suffix == ".py" and not name.name.startswith("test_"):
            run(python, "-c", f"import {name.stem}", folder=tmp_path)
    tests = [block.file for block in blocks if Path(block.file).name.startswith("test_")]
    if "test_talks.py" in tests:
        plant_talk(python, tmp_path)
    if tests:
        out = run(python, "-m", "pytest", "-q", *tests, folder=tmp_path)
        assert " passed" in out and "skipped" not in out
