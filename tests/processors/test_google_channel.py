"""A service's way to a Cloud API: made on demand, exchanged when mute, closed by whoever made it."""

import asyncio
from types import SimpleNamespace

import grpc
import pytest
from grpc import ChannelConnectivity

from halfcascade.processors.google_channel import CloudChannel
from halfcascade.processors.google_clients import CHANNEL_OPTIONS


class Grpc:
    def __init__(self):
        self.connected = 0
        self.closing: float | None = None
        self.state = ChannelConnectivity.CONNECTING
        self.through = asyncio.Event()

    def get_state(self, try_to_connect: bool = False) -> ChannelConnectivity:
        self.connected += try_to_connect
        return self.state

    def get_through(self) -> None:
        self.state = ChannelConnectivity.READY
        self.through.set()

    async def channel_ready(self) -> None:
        await self.through.wait()

    async def close(self, grace: float) -> None:
        self.closing = grace


class Client:
    def __init__(self):
        self.transport = self
        self.grpc_channel = Grpc()
        self.closed = False

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def made() -> list[Client]:
    return []


@pytest.fixture
def channel(made) -> CloudChannel[Client]:
    def make() -> Client:
        made.append(Client())
        return made[-1]

    return CloudChannel(make)


def test_there_is_no_client_before_it_is_opened(channel, made):
    assert channel.client is None
    with pytest.raises(RuntimeError):
        channel.require()
    channel.open()
    channel.open()
    assert [channel.require()] == made


async def test_a_mute_connection_is_exchanged_and_its_calls_may_end(channel, made):
    channel.open()
    made[0].grpc_channel.get_through()
    closing = channel.renew()
    assert channel.client is made[1] and made[1].grpc_channel.connected == 1
    assert channel.renew() is None, "a new connection must have time to be made"
    await closing
    assert made[0].grpc_channel.closing > 0 and not made[0].closed


@pytest.mark.parametrize("first", [0, 1, 2])
async def test_of_connections_that_are_being_made_the_first_that_gets_through_is_taken(
    channel, made, monkeypatch, first
):
    monkeypatch.setattr("halfcascade.processors.google_channel._CONNECT_SECS", -1.0)
    channel.open()
    partings = [asyncio.create_task(channel.renew()), asyncio.create_task(channel.renew())]
    await asyncio.sleep(0)
    made[first].grpc_channel.get_through()
    await asyncio.sleep(0.01)
    assert channel.client is made[first]
    for other in made:
        other.grpc_channel.get_through()
    await asyncio.gather(*partings)
    assert channel.client is made[first] and made[first].grpc_channel.closing is None
    assert all(other.grpc_channel.closing for other in made if other is not made[first])


async def test_a_connection_to_where_nobody_wants_to_go_any_more_is_not_taken(channel, made):
    channel.open()
    parting = asyncio.create_task(channel.renew())
    channel.replace()
    made[0].grpc_channel.get_through()
    await parting
    assert channel.client is made[2] and made[0].grpc_channel.closing


async def test_what_gets_nowhere_is_given_up(channel, made, monkeypatch):
    monkeypatch.setattr("halfcascade.processors.google_channel._OLD_CALLS_SECS", 0.01)
    channel.open()
    await channel.renew()
    assert channel.client is made[1] and made[0].grpc_channel.closing


async def test_what_was_made_is_closed_and_what_was_given_is_left_alone(channel, made):
    channel.open()
    channel.replace()
    assert channel.client is made[1]
    await channel.close()
    assert made[1].closed and channel.client is None
    given = CloudChannel(Client, own := Client())
    given.open()
    given.replace()
    assert given.renew() is None and given.client is own
    await given.close()
    assert not own.closed


async def _slow_way_to(port: int, secs: float) -> asyncio.Server:
    """Leads to a port of this machine; what comes from there is late by so many seconds."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, late: float) -> None:
        while data := await reader.read(65_536):
            await asyncio.sleep(late)
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pass_on(reader, back, 0.0), pass_on(there, writer, secs), return_exceptions=True)

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def test_a_far_network_is_connected_to_however_often_that_is_tried_anew():
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    # Longer than the longest pause between attempts and than the time between renewals.
    way = await _slow_way_to(port, 1.3)
    address = f"127.0.0.1:{way.sockets[0].getsockname()[1]}"

    def make() -> SimpleNamespace:
        return SimpleNamespace(
            transport=SimpleNamespace(grpc_channel=grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS))
        )

    channel = CloudChannel(make)
    channel.open()
    channel.connect()
    partings = []
    async with asyncio.timeout(30):
        while channel.require().transport.grpc_channel.get_state() is not ChannelConnectivity.READY:
            await asyncio.sleep(0.05)
            if parting := channel.renew():
                partings.append(asyncio.create_task(parting))
    for task in partings:
        task.cancel()
    way.close()
    await server.stop(None)
