"""The distribution, built as for an index, and environments that hold it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_OURS = ("GOOGLE_", "GEMINI_", "SPEECH_EMULATOR_", "TEXTTOSPEECH_EMULATOR_", "HALFCASCADE_", "PYTEST_", "SSL_CERT_FILE")
_STEP_SECS = 900.0


def clean_environment(home: Path, **variables: str) -> dict[str, str]:
    """The environment of a person without credentials, in which nothing leads to the checkout."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OURS) and name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    return {**kept, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200", **variables}


def run(*command: object, cwd: Path, timeout: float = _STEP_SECS, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program as that person, both outputs together."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment(cwd, **variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )


@dataclass
class Installed:
    """An environment with the distribution in it."""

    python: Path

    @property
    def command(self) -> Path:
        """The console script."""
        return self.python.parent / "halfcascade"


def own_uv() -> str:
    """The uv of this environment, which the project's Makefile installs."""
    found = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    return found or pytest.skip("uv is not installed")


@pytest.fixture(scope="session")
def distributions(tmp_path_factory) -> dict[str, Path]:
    """``wheel`` and ``sdist``; the wheel is made from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    # A build leaves files beside the sources: not beside the checkout's.
    sources = tmp_path_factory.mktemp("sources")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (sources / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, sources / name)
    subprocess.run([own_uv(), "build", "--quiet", "--out-dir", folder, sources], check=True, timeout=_STEP_SECS)
    return {"wheel": next(folder.glob("*.whl")), "sdist": next(folder.glob("*.tar.gz"))}


@pytest.fixture(scope="session")
def environment(tmp_path_factory, distributions) -> Iterator[Callable[..., Installed]]:
    """Makes environments with the wheel, some extras and packages besides; each is made once and removed at the end."""
    made: dict[tuple[str, ...], Installed] = {}
    folders: list[Path] = []

    def make(extra: str = "", *others: str) -> Installed:
        key = (extra, *others)
        if key not in made:
            folder = tmp_path_factory.mktemp("environment")
            folders.append(folder)
            python = folder / "bin" / "python"
            subprocess.run([own_uv(), "venv", "--quiet", "--clear", "-p", sys.executable, folder], check=True)
            wanted = f"{distributions['wheel']}[{extra}]" if extra else str(distributions["wheel"])
            subprocess.run([own_uv(), "pip", "install", "--quiet", "-p", python, wanted, *others], check=True)
            made[key] = Installed(python)
        return made[key]

    yield make
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
