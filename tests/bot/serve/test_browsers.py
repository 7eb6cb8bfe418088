"""Connections of browsers: met, made anew, metered, forgotten."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from halfcascade.bot.serve.browsers import Browsers, Offer
from halfcascade.bot.serve.limits import Absence, Allowance


class Page:
    """One connection of a browser's side."""

    def __init__(self):
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.pc.addTrack(AudioStreamTrack())
        self.channel = self.pc.createDataChannel("chat")
        self.open = asyncio.Event()
        self.channel.on("open", self.open.set)

    async def offer(self, *, anew: bool = False) -> Offer:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return Offer.of({"sdp": self.pc.localDescription.sdp, "type": "offer", "restart_pc": anew})

    async def take(self, answer: dict[str, str]) -> str:
        await self.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        await asyncio.wait_for(self.open.wait(), 15)
        return answer["pc_id"]


@asynccontextmanager
async def pages(count: int):
    made = [Page() for _ in range(count)]
    yield made
    await asyncio.gather(*(page.pc.close() for page in made))


async def test_a_connection_may_be_made_anew_again_and_again_and_is_metered_each_time():
    allowance = Allowance(messages_per_sec=1.0, burst_secs=20.0)
    browsers = Browsers(allowance=allowance)
    async with pages(3) as (first, second, third):
        connection, answer = await browsers.meet(await first.offer())
        numbers = [await first.take(answer)]
        for page in (second, third):
            numbers.append(await page.take(await browsers.go_on(numbers[-1], await page.offer(anew=True))))
        assert len(set(numbers)) == 3 and len(browsers) == 1
        assert [browsers.knows(number) for number in numbers] == [False, False, True]
        assert connection.pc_id == numbers[-1]
        closed = asyncio.Event()
        connection.add_event_handler("closed", lambda *_: closed.set())
        for _ in range(30):
            third.channel.send("ping")
        await asyncio.wait_for(closed.wait(), 15)
        assert not len(browsers)
    await browsers.close()


async def test_ways_to_a_browser_are_learned_for_connections_that_are_known():
    browsers = Browsers()
    line = "candidate:1 1 udp 2130706431 127.0.0.1 9 typ host"
    candidates = [
        {"candidate": line, "sdp_mid": "0", "sdp_mline_index": 0},
        {"candidate": "", "sdp_mid": "0", "sdp_mline_index": 0},
    ]
    async with pages(1) as (page,):
        connection, answer = await browsers.meet(await page.offer())
        assert await browsers.add_candidates(answer["pc_id"], candidates)
        assert not await browsers.add_candidates("guessed", candidates)
        await browsers.close()
        assert not browsers.knows(answer["pc_id"]) and connection.pc.connectionState == "closed"


@pytest.mark.parametrize(
    ("there", "gone_at", "lost_at"),
    [
        ("1" * 40, [], None),
        ("11100011111", [3], None),
        ("111" + "0" * 8 + "1" + "0" * 30, [3, 12], 22),
        ("0" * 40, [0], 10),
    ],
)
def test_who_is_away_for_too_long_is_lost_and_who_comes_back_is_not(there, gone_at, lost_at):
    absence, gone, lost = Absence(10.0), [], None
    for second, is_there in enumerate(there):
        if absence.look(there=is_there == "1", now=float(second)):
            gone.append(second)
        if lost is None and absence.too_long(float(second)):
            lost = second
    assert (gone, lost) == (gone_at, lost_at)
