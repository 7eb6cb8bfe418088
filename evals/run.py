"""Run Pipecat's evals against the served bot on the embedded emulator: ``make evals``.

python -m evals.run [FILE.yaml ...]

Each scenario is a talk of its own through the server's socket, by the public parts of ``pipecat.evals``. The exit code
tells whether all passed. Nothing is asked of any network but loopback.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.evals.scenario import EvalScenarioFile
from pipecat.evals.session import EvalSession, EvalSessionParams

from halfcascade.bot.serve.house import find_servers
from halfcascade.bot.settings import Backend, Settings
from tests.bot.serve.support import serving

FOLDER = Path(__file__).parent / "scenarios"


async def run_all(paths: list[Path]) -> int:
    """Run every scenario.

    Args:
        paths: Scenario files.

    Returns:
        How many did not pass.
    """
    servers = await find_servers(Settings(_env_file=None, backend=Backend.EMULATOR))  # type: ignore[call-arg]
    # The harness's own ears are made by name, so they find the servers in the environment.
    os.environ.update(servers.environ)
    failed = count = 0
    try:
        for path in paths:
            language = "ko-KR" if path.stem.startswith("ko") else "en-US"
            settings = Settings(_env_file=None, language=language)  # type: ignore[call-arg]
            async with serving(dict(servers.environ), settings, evals=True) as served:
                for scenario in EvalScenarioFile.load(path):
                    count += 1
                    failed += not await _run(scenario, f"{served.ws}/ws")
    finally:
        if servers.emulator:
            await servers.emulator.stop()
    print(f"{count - failed} of {count} passed")
    return failed


async def _run(scenario: Any, url: str) -> bool:
    begun = time.monotonic()
    session = EvalSession.from_scenario(scenario, url, params=EvalSessionParams(default_timeout_ms=30_000))
    result = await session.run()
    print(f"{'passed' if result.passed else 'FAILED'}  {scenario.name}  {time.monotonic() - begun:.1f} s", flush=True)
    if not result.passed:
        for failure in result.failures:
            print(f"        {failure}")
    return result.passed


if __name__ == "__main__":
    logger.remove()
    given = [Path(name) for name in sys.argv[1:]]
    sys.exit(min(1, asyncio.run(run_all(given or sorted(FOLDER.glob("*.yaml"))))))
