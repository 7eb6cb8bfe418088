"""A service's way to a Cloud API: made on demand, exchanged when mute, closed by whoever made it."""

import pytest

from halfcascade.processors.google_channel import CloudChannel


class Grpc:
    def __init__(self):
        self.connected = 0
        self.closing: float | None = None

    def get_state(self, try_to_connect: bool) -> None:
        self.connected += try_to_connect

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
    closing = channel.renew()
    assert channel.client is made[1] and made[1].grpc_channel.connected == 1
    assert channel.renew() is None, "a new connection must have time to be made"
    await closing
    assert made[0].grpc_channel.closing > 0 and not made[0].closed


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
