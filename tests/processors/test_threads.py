import asyncio
import subprocess
import sys
import time

import pytest

from halfcascade.processors.threads import on_daemon_thread


async def test_results_and_errors_come_back():
    assert await on_daemon_thread(sum, [1, 2], start=3) == 6
    with pytest.raises(ZeroDivisionError):
        await on_daemon_thread(lambda: 1 / 0)


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
