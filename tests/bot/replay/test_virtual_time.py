"""Time that passes without waiting."""

import asyncio
import time

import pytest
from pipecat.clocks.system_clock import SystemClock
from pipecat.frames.frames import VADUserStoppedSpeakingFrame

from halfcascade.bot.replay import virtual_time


def test_hours_pass_at_once_on_every_clock():
    async def wait() -> list[float]:
        clock, began = SystemClock(), (time.monotonic(), time.time(), asyncio.get_running_loop().time())
        clock.start()
        await asyncio.sleep(7200.0)
        ended = (time.monotonic(), time.time(), asyncio.get_running_loop().time())
        return [after - before for before, after in zip(began, ended, strict=True)] + [clock.get_time() / 1e9]

    began = time.perf_counter()
    assert virtual_time.run(wait(), wall_clock=1.8e9) == pytest.approx([7200.0] * 4, abs=1e-3)
    assert time.perf_counter() - began < 5.0


def test_wall_clock_begins_when_it_shall_and_frames_are_stamped_with_it():
    async def stamp() -> tuple[float, float]:
        await asyncio.sleep(5.0)
        return time.time(), VADUserStoppedSpeakingFrame(stop_secs=0.2).timestamp

    assert virtual_time.run(stamp(), wall_clock=1.8e9) == pytest.approx((1.8e9 + 5.0, 1.8e9 + 5.0), abs=1e-3)
    assert VADUserStoppedSpeakingFrame().timestamp == pytest.approx(time.time(), abs=60.0)  # afterwards as before


@pytest.mark.parametrize("secs", [1e-10, 1e-9, 3e-9, 1e-7])
def test_a_deadline_nearer_than_the_clocks_resolution_passes(secs):
    async def wait() -> float:
        until = time.monotonic() + secs
        while (left := until - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await asyncio.Event().wait()
            except TimeoutError:
                pass
        return time.monotonic() - until

    assert 0.0 <= virtual_time.run(wait()) < 1e-3


def test_what_runs_in_threads_takes_no_time_and_may_fail():
    async def work() -> tuple[int, float]:
        began = time.monotonic()
        found = await asyncio.to_thread(sum, range(200_000))
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 1, 0)
        return found, time.monotonic() - began

    found, passed = virtual_time.run(work())
    assert found == sum(range(200_000)) and passed < 1e-3
