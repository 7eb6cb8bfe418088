"""Resolve the distribution for every Python and platform that it is meant for, and beside Pipecat's own extras.

`make matrix` runs all of it, `python scripts/matrix.py --quick` what CI runs. Nothing is installed: uv resolves for
each platform from wheels alone, but for the packages named in `BUILT`.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = {
    # Debian 12's C library, and what moonshine-voice needs of macOS.
    "Linux x86-64": "x86_64-manylinux_2_36",
    "Linux arm64": "aarch64-manylinux_2_36",
    "macOS arm64": "aarch64-apple-darwin",
    "Windows x64": "x86_64-pc-windows-msvc",
}
MACOS = "15.0"
EXTRAS = ("bot", "talk", "demo", "serve", "trace", "screen", "scale")
BUILT = ("docopt", "pyaudio")
"""Without wheels (pyaudio: but for Windows): built from source on the spot, docopt by pip alone."""
PIPECAT = "pipecat-ai[cli,evals,runner,webrtc,tracing]==1.14.*"
TOGETHER = ("bot", "talk", "serve", "trace")
"""Beside Pipecat's `cli` and `evals`. Not `screen`, which wants a newer rich than they take, and not `demo`: they want
a moonshine-voice that no longer brings its model along."""

_LIMIT_SECS = 600


@dataclass(frozen=True)
class Case:
    """One resolution.

    Parameters:
        python: Version.
        platform: Name in `PLATFORMS`.
        extras: Ours.
        beside: Requirements besides.
        lowest: Whether the lowest versions are taken that our own floors allow.
    """

    python: str
    platform: str
    extras: tuple[str, ...] = ()
    beside: tuple[str, ...] = field(default=())
    lowest: bool = False

    def __str__(self) -> str:
        what = f"[{','.join(self.extras)}]" if self.extras else "base"
        beside = f" beside {', '.join(self.beside)}" if self.beside else ""
        return f"Python {self.python}, {self.platform}, {what}{beside}{', lowest versions' if self.lowest else ''}"


QUICK = (
    Case("3.11", "Linux x86-64"),
    Case("3.14", "Windows x64"),
    Case("3.11", "Linux x86-64", TOGETHER, (PIPECAT,)),
)
FULL = (
    *(Case(python, platform, extras) for python in PYTHONS for platform in PLATFORMS for extras in ((), EXTRAS)),
    *(Case(python, "Linux x86-64", TOGETHER, (PIPECAT,)) for python in PYTHONS),
    Case("3.11", "Linux x86-64", (), lowest=True),
    Case("3.11", "Linux x86-64", ("bot",), lowest=True),
)


def resolve(case: Case) -> str | None:
    """Resolve one case.

    Args:
        case: Which.

    Returns:
        Why it cannot be resolved, or None.
    """
    uv = Path(sys.executable).parent / "uv"
    pinned = re.findall(r"^([a-z0-9][a-z0-9._-]*)==", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE)
    command = [str(uv), "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += ["--python-version", case.python, "--python-platform", PLATFORMS[case.platform]]
    command += [part for name in sorted(set(pinned) - set(BUILT)) for part in ("--only-binary", name)]
    command += [part for extra in case.extras for part in ("--extra", extra)]
    command += ["--resolution", "lowest-direct"] if case.lowest else []
    with tempfile.NamedTemporaryFile("w", suffix=".in") as besides:
        besides.write("\n".join(case.beside))
        besides.flush()
        done = subprocess.run(  # noqa: S603 - our own command
            [*command, str(ROOT / "pyproject.toml"), *([besides.name] if case.beside else [])],
            cwd=ROOT,
            env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": MACOS},
            capture_output=True,
            text=True,
            timeout=_LIMIT_SECS,
            check=False,
        )
    return None if done.returncode == 0 else " ".join(done.stderr.split())


def main() -> int:
    """Resolve all cases and print how each went; the exit code counts the failures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what CI runs")
    cases = QUICK if parser.parse_args().quick else FULL
    failed = 0
    with ThreadPoolExecutor(4) as pool:
        for case, cause in zip(cases, pool.map(resolve, cases), strict=True):
            failed += cause is not None
            sys.stdout.write(f"{'FAIL' if cause else 'ok  '}  {case}{f': {cause}' if cause else ''}\n")
            sys.stdout.flush()
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
