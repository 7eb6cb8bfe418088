"""Browsers' WebRTC connections: each made by an offer, made anew by another when its network was lost.

A talk outlives its connections: a page that cannot hear the bot any more offers a new one by the number of the old.
Each new one has a number of its own.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loguru import logger

from halfcascade.bot.serve.limits import Allowance, Meter

if TYPE_CHECKING:
    from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection

# For connections that are open once the talks over them have ended.
_HANG_UP_SECS = 5.0
_MOST_CANDIDATES = 64

Answer = dict[str, str]


@dataclass(frozen=True)
class Offer:
    """What a browser offers.

    Parameters:
        sdp: How it can be reached, and what it would send.
        anew: Whether the connection that it had is lost and another shall take its place.
    """

    sdp: str
    anew: bool

    @classmethod
    def of(cls, sent: dict[str, Any]) -> "Offer":
        """Read what came.

        Args:
            sent: A JSON object.

        Raises:
            ValueError, TypeError, KeyError: If it is no offer of sound.
        """
        sdp = text_of(sent["sdp"])
        # What has no sound in it would be answered, and hold a room until nobody comes.
        if text_of(sent["type"]) != "offer" or "\nm=audio " not in sdp:
            raise ValueError("That is no offer of sound.")
        return cls(sdp, bool(sent.get("restart_pc")))


class Browsers:
    """The connections of a process, by their numbers, which only their clients are told.

    Args:
        ice_servers: STUN and TURN servers.
        allowance: What a client may send in messages.

    Raises:
        ImportError: If aiortc is not installed.
    """

    def __init__(self, ice_servers: Sequence[str] = (), allowance: Allowance | None = None):
        from pipecat.transports.smallwebrtc.connection import IceServer, SmallWebRTCConnection

        self._make = SmallWebRTCConnection
        self._ice_servers = [IceServer(urls=url) for url in ice_servers]
        self._allowance = allowance or Allowance()
        self._open: dict[str, SmallWebRTCConnection] = {}

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def knows(self, number: str) -> bool:
        """Whether there is a connection of a number."""
        return number in self._open

    async def meet(self, offer: Offer) -> "tuple[SmallWebRTCConnection, Answer]":
        """Make a connection.

        Args:
            offer: Of a browser that has none yet.

        Returns:
            The connection, and what the browser is to be told.

        Raises:
            ValueError: If the offer has no answer, among others that parsers of SDP raise.
        """
        connection = self._make(ice_servers=list(self._ice_servers))
        await connection.initialize(offer.sdp, "offer")
        connection.add_event_handler("closed", self._on_closed)
        return connection, self._settle(connection)

    async def go_on(self, number: str, offer: Offer) -> Answer:
        """Let a connection that is open go on as its browser wishes, over another network perhaps.

        Args:
            number: Of the connection.
            offer: Of the browser.

        Returns:
            What the browser is to be told.
        """
        connection = self._open[number]
        await connection.renegotiate(offer.sdp, "offer", restart_pc=offer.anew)
        if connection.pc_id != number:
            self._open.pop(number, None)
            return self._settle(connection)
        return _answer_of(connection)

    async def add_candidates(self, number: str, candidates: Sequence[dict[str, Any]]) -> bool:
        """Learn more ways to a browser.

        Args:
            number: Of its connection.
            candidates: By which it says it can be reached.

        Returns:
            Whether there is such a connection.
        """
        from aiortc.sdp import candidate_from_sdp

        if not (connection := self._open.get(number)):
            return False
        for one in candidates[:_MOST_CANDIDATES]:
            candidate = None  # an empty one says that there are no more (RFC 8840)
            if line := text_of(one["candidate"]):
                candidate = candidate_from_sdp(line)
                candidate.sdpMid, candidate.sdpMLineIndex = text_of(one["sdp_mid"]), int(one["sdp_mline_index"])
            await connection.add_ice_candidate(candidate)
        return True

    async def close(self) -> None:
        """Hang up on everybody."""
        hanging_up = asyncio.gather(*(connection.disconnect() for connection in list(self._open.values())))
        # Pipecat gives up a connection that does not come about, and cancels the closing of it on the way:
        # whoever closes it once more waits for ever.
        with suppress(TimeoutError):
            await asyncio.wait_for(hanging_up, _HANG_UP_SECS)
        self._open.clear()

    def _settle(self, connection: "SmallWebRTCConnection") -> Answer:
        _meter_messages(connection, Meter(self._allowance, time.monotonic()))
        self._open[connection.pc_id] = connection
        return _answer_of(connection)

    async def _on_closed(self, connection: "SmallWebRTCConnection") -> None:
        self._open.pop(connection.pc_id, None)


def _answer_of(connection: "SmallWebRTCConnection") -> Answer:
    answer = connection.get_answer()
    if answer is None:
        raise ValueError("That offer has no answer.")
    return answer


def _meter_messages(connection: "SmallWebRTCConnection", meter: Meter) -> None:
    """End a connection whose client sends more messages than it may."""

    @connection.pc.on("datachannel")
    def on_channel(channel: Any) -> None:
        @channel.on("message")
        async def on_message(message: str | bytes) -> None:
            if not meter.take(len(message), time.monotonic()):
                logger.warning("A client sent more than it may, and was cut off.")
                await connection.disconnect()


def text_of(value: Any) -> str:
    """A text that came from outside.

    Args:
        value: Perhaps one.

    Raises:
        TypeError: If it is none.
    """
    if not isinstance(value, str):
        raise TypeError("That is no text.")
    return value


def open_browsers(ice_servers: Sequence[str]) -> Browsers | None:
    """The connections of a process, or None where aiortc is not installed.

    Args:
        ice_servers: STUN and TURN servers.
    """
    try:
        return Browsers(ice_servers)
    except ImportError:
        logger.warning("Browsers cannot talk here: install halfcascade[serve].")
        return None
