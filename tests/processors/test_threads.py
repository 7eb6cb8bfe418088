import asyncio
import subprocess
import sys
import time

import pytest
from loguru import logger

from halfcascade.processors.threads import on_daemon_thread, watched


async def test_results_and_errors_come_back():
    assert await on_daemon_thread(sum, [1, 2], start=3) == 6
    with pytest.raises(ZeroDivisionError):
        await on_daemon_thread(lambda: 1 / 0)


async def test_a_task_that_nobody_awaits_does_not_die_unseen():
    lines: list[str] = []
    handler = logger.add(lambda line: lines.append(str(line)), format="{message} {exception}", level="ERROR")

    async def work(fails: bool) -> None:
        if fails:
            raise ValueError("of this")

    try:
        tasks = [watched(asyncio.create_task(work(fails)), "The work") for fails in (True, False)]
        (left := watched(asyncio.create_task(asyncio.sleep(60)), "The rest")).cancel()
        await asyncio.gather(*tasks, left, return_exceptions=True)
    finally:
        logger.remove(handler)
    assert len(lines) == 1 and "The work failed." in lines[0] and "of this" in lines[0]


async def test_a_call_that_hangs_holds_up_nobody():
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await on_daemon_thread(time.sleep, 30)
    assert time.monotonic() - began < 5


def test_a_process_ends_although_a_call_hangs():
    program = (
        "import asyncio, time\n"
        "from halfcascade.processors.threads import on_daemon_thread\n"
        "async def main():\n"
        "    try:\n"
        "        await asyncio.wait_for(on_daemon_thread(time.sleep, 600), 0.1)\n"
        "    except TimeoutError:\n"
        "        print('gone on')\n"
        "asyncio.run(main())\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "gone on"
