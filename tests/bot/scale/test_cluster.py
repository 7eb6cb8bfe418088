"""Talks on two nodes of a Ray cluster on this machine, one of which is killed."""

import asyncio
import os
import re
import signal
import sys
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from halfcascade.emulator.server import GoogleEmulator
from tests.bot.serve.browser import browsing, needs_chromium, say
from tests.bot.serve.support import Program
from tests.bot.support import ROOT, recordings_for

cluster_utils = pytest.importorskip("ray.cluster_utils", reason="the extra `scale` is not installed")
psutil = pytest.importorskip("psutil")  # Ray brings it along
pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
SCENARIO = {
    "recordings": recordings_for("weather"),
    "replies": [{"match": "weather", "text": "It will be sunny all day."}],
}
TALKS_EACH = 2
SOON = 60.0


class Nodes:
    """A cluster whose head holds no talks, and nodes that do."""

    def __init__(self):
        self._small = {"num_cpus": 1, "object_store_memory": 80_000_000}
        head = self._small | {"include_dashboard": False}
        self._cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
        self.address = self._cluster.address

    def add(self):
        return self._cluster.add_node(**self._small, resources={"talks": TALKS_EACH}, wait=True)

    def kill(self, node):
        self._cluster.remove_node(node, allow_graceful=False)

    def end(self):
        self._cluster.shutdown()


def _ports(node) -> set[int]:
    """Where the processes of a node listen."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    open_sockets = [one for child in raylet.children(recursive=True) for one in child.net_connections("tcp")]
    return {one.laddr.port for one in open_sockets if one.status == psutil.CONN_LISTEN}


async def _talks(node) -> int:
    """How many talks the place of a node holds, by its own word."""
    async with httpx.AsyncClient(timeout=3.0) as http:
        for port in _ports(node):
            with suppress(httpx.HTTPError, ValueError):
                return (await http.get(f"http://{node.node_ip_address}:{port}/readyz")).json()["talks"]
    raise AssertionError("The node has no place.")


@pytest.fixture(scope="module")
async def google():
    async with GoogleEmulator(scenario=SCENARIO) as running:
        yield running


@pytest.fixture
def nodes(google):
    # Nodes hand their environment to what they start, as a machine's service manager does.
    before = dict(os.environ)
    os.environ.update(google.env | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"})
    nodes = Nodes()
    try:
        yield nodes
    finally:
        nodes.end()
        os.environ.clear()
        os.environ.update(before)


@asynccontextmanager
async def _front(nodes):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "serve", "--backend", "google", "--port", "0", "--cluster", nodes.address,
        "--most-talks", str(TALKS_EACH), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=ROOT,
    )  # fmt: skip
    output = ""
    while "Talk at" not in output:
        line = await asyncio.wait_for(process.stdout.readline(), SOON)
        assert line, output
        output += line.decode()
    try:
        yield re.search(r"http://127\.0\.0\.1:\d+", output)[0], process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        rest, _ = await asyncio.wait_for(process.communicate(), SOON)
        assert "Traceback" not in rest.decode(), rest.decode()


async def _state(http) -> dict:
    return (await http.get("/readyz")).json()


async def _until(http, **wanted) -> None:
    async with asyncio.timeout(2 * SOON):
        while not wanted.items() <= (await _state(http)).items():  # noqa: ASYNC110 no event
            await asyncio.sleep(0.3)


async def _answers(client: Program) -> None:
    client.heard.clear()
    client.say("weather")
    await client.hears(SOON)
    await client.hears_silence()


async def test_a_dead_nodes_talks_are_told_and_new_ones_go_elsewhere(nodes):
    one, other = nodes.add(), nodes.add()
    async with _front(nodes) as (url, _), httpx.AsyncClient(base_url=url) as http:
        await _until(http, places=2, most=2 * TALKS_EACH)
        ws = url.replace("http", "ws")
        first, second = Program(), Program()
        async with second.calling(ws + "/ws-client"):
            with pytest.raises(BaseExceptionGroup) as told:
                async with first.calling(ws + "/ws-client"):
                    await _answers(first)
                    await _answers(second)
                    # Media go to the places themselves, and each holds one talk.
                    places = {client._socket.remote_address[1] for client in (first, second)}
                    assert len(places) == 2 and int(url.rpartition(":")[2]) not in places
                    await _until(http, talks=2)
                    nodes.kill(one if first._socket.remote_address[1] in _ports(one) else other)
                    await asyncio.sleep(SOON)
            assert told.group_contains(ConnectionClosed)
            # The other's talk goes on, and who comes now goes there, until it is full.
            await _answers(second)
            async with Program().calling(ws + "/ws-client") as third:
                await _answers(third)
                assert third._socket.remote_address[1] == second._socket.remote_address[1]
                await _until(http, places=1, talks=2, most=TALKS_EACH)
                assert (await http.post("/start")).status_code == 503
                assert "halfcascade_talks_lost_total 1.0" in (await http.get("/metrics")).text
        await _until(http, talks=0)
        nodes.add()
        await _until(http, places=2, most=2 * TALKS_EACH)


@needs_chromium
async def test_a_browser_is_placed_told_and_placed_again(nodes):
    from playwright.async_api import expect

    one, other = nodes.add(), nodes.add()
    async with _front(nodes) as (url, process), httpx.AsyncClient(base_url=url) as http:
        await _until(http, places=2)
        async with browsing(url) as page:
            for lost in (False, True):
                await page.click("#start")
                await expect(page.locator("#text")).to_be_enabled(timeout=1000 * SOON)
                await say(page, "weather")
                heard = page.locator("#talk .bot .heard").last
                await expect(heard).to_have_text("It will be sunny all day.", timeout=1000 * SOON)
                if not lost:
                    await _until(http, talks=1)
                    nodes.kill(one if await _talks(one) else other)
                    await expect(page.locator("#problem")).to_have_attribute(
                        "data-problem", "lost", timeout=1000 * SOON
                    )
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), SOON) == 128 + signal.SIGTERM
