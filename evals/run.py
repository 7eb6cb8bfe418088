"""Run Pipecat's evals against the served bot on the embedded emulator: ``make evals``.

python -m evals.run [FILE.yaml ...]

Each scenario is a talk of its own through the server's socket, by the public parts of ``pipecat.evals``. What fails is
asked once more, since a busy machine is late and not wrong. The exit code tells whether all passed. Nothing is asked of
any network but loopback.
"""

import asyncio
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.evals.scenario import EvalScenarioFile
from pipecat.evals.session import EvalSession, EvalSessionParams

from halfcascade.bot.serve.house import find_servers
from halfcascade.bot.settings import Backend, Settings
from halfcascade.emulator.server import GoogleEmulator
from tests.bot.serve.support import Served, serving
from tests.bot.support import DATA

FOLDER = Path(__file__).parent / "scenarios"


# What the scripted mind says to whom it understands, for languages that the local mind does not hear.
SCRIPTED = {
    "ko_audio": {
        "recordings": [{"index": str(DATA / "recordings.json")}],
        "replies": [
            {"match": "몇 시", "text": "지금은 세 시예요."},
            {"match": "날씨", "text": "오늘 서울은 맑아요."},
            {"match": "고맙습니다", "text": "네, 다음에 또 만나요."},
        ],
    }
}


async def run_all(paths: list[Path]) -> int:
    """Run every scenario.

    Args:
        paths: Scenario files.

    Returns:
        How many did not pass.
    """
    failed = count = 0
    async with AsyncExitStack() as stack:
        local: dict[str, str] | None = None
        for path in paths:
            if path.stem in SCRIPTED:
                environ = (await stack.enter_async_context(GoogleEmulator(scenario=SCRIPTED[path.stem]))).env
            else:
                environ = local = local or await _local_mind(stack)
            # The harness's own ears are made by name, so they find the servers in the environment.
            os.environ.update(environ)
            settings = Settings(_env_file=None, language="ko-KR" if path.stem.startswith("ko") else "en-US")
            async with serving(dict(environ), settings, evals=True) as served:
                for scenario in EvalScenarioFile.load(path):
                    count += 1
                    failed += not (await _run(scenario, served) or await _run(scenario, served))
    print(f"{count - failed} of {count} passed")
    return failed


async def _local_mind(stack: AsyncExitStack) -> dict[str, str]:
    servers = await find_servers(Settings(_env_file=None, backend=Backend.EMULATOR))
    if servers.emulator:
        stack.push_async_callback(servers.emulator.stop)
    return dict(servers.environ)


async def _run(scenario: Any, served: Served) -> bool:
    begun = time.monotonic()
    params = EvalSessionParams(default_timeout_ms=30_000)
    result = await EvalSession.from_scenario(scenario, f"{served.ws}/ws", params=params).run()
    print(f"{'passed' if result.passed else 'FAILED'}  {scenario.name}  {time.monotonic() - begun:.1f} s", flush=True)
    if not result.passed:
        for failure in result.failures:
            print(f"        {failure}")
        for entry in served.hubs[-1].transcript.entries:
            print(f"        {entry}")
    return result.passed


if __name__ == "__main__":
    logger.remove()
    given = [Path(name) for name in sys.argv[1:]]
    sys.exit(min(1, asyncio.run(run_all(given or sorted(FOLDER.glob("*.yaml"))))))
