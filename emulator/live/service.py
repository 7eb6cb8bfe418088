"""Gemini Live as a service: every websocket gets a machine, and all share the sessions and the faults."""

import asyncio

from loguru import logger

from halfcascade.emulator.faults import Faults
from halfcascade.emulator.live.connection import LiveConnection, Note
from halfcascade.emulator.live.endpoint import check_caller, endpoint
from halfcascade.emulator.live.errors import Refusal
from halfcascade.emulator.live.faults import FaultScript
from halfcascade.emulator.live.machine import Limits, LiveMachine
from halfcascade.emulator.live.session import SessionStore
from halfcascade.emulator.live.tokens import Token, TokenStore
from halfcascade.emulator.live.voice import RemoteVoice, ScriptedVoice, Voice
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.base import Mind
from halfcascade.emulator.minds.scripted_speaker import ScriptedSpeaker
from halfcascade.emulator.profiles import Profile
from halfcascade.emulator.web.socket import WebSocket


class LiveService:
    """Serves Gemini Live, the Developer API's and Vertex's.

    Parameters:
        mind: What listens, thinks and speaks.
        profile: Latencies; None = none.
        faults: Faults of all APIs; those in its ``live`` are obeyed.
        log: Where all that is received and sent is noted, but no API keys, and of audio only the size; None = nowhere.
        clock_scale: How much faster the clock of limits runs (connection, session and handle lifetimes): 600 turns the
            10 minutes of a connection into one second. Latencies and audio stay as they are.
        api_key: The one key that is accepted; None = any.
    """

    def __init__(
        self,
        mind: Mind,
        profile: Profile | None = None,
        *,
        faults: Faults | None = None,
        log: UsageLog | None = None,
        clock_scale: float = 1.0,
        api_key: str | None = None,
    ) -> None:
        self.mind = mind
        self.profile = profile or Profile()
        self.script = FaultScript((faults or Faults()).live)
        self.log = log
        self.tokens = TokenStore()
        self.store = SessionStore()
        self.limits = Limits()
        self.api_key = api_key
        self.scale_clock(clock_scale)

    def scale_clock(self, scale: float) -> None:
        """Let the clock of limits run faster, from the next connection on."""
        self.limits = Limits().scaled(scale)
        self.store.handle_lifetime = self.limits.handle

    async def serve(self, websocket: WebSocket) -> bool:
        """Serve a websocket, if it is one of Gemini Live.

        Args:
            websocket: Not accepted yet.

        Returns:
            Whether it was.
        """
        where = endpoint(websocket.caller.path)
        if where is None:
            return False
        websocket.delay_pongs(lambda: self.script.faults.pong_delay)
        await websocket.accept()
        note = Note(self.log)
        note("open", surface=where.surface, version=where.name)
        refusal = check_caller(websocket.caller, where, self.api_key)
        token: Token | Refusal | None = None
        if refusal is None and where.constrained:
            token = self.tokens.find(websocket.caller.ephemeral_token)
            refusal = token if isinstance(token, Refusal) else None
        machine = LiveMachine(
            self.store,
            self.profile.thinker,
            self.script,
            surface=where.surface,
            version=where.name,
            limits=self.limits,
            voice=self._voice(),
            token=token if isinstance(token, Token) else None,
        )
        if refusal is not None:
            machine.refuse(refusal)
        connection = LiveConnection(websocket, machine, self.mind, one_way=self.profile.network.one_way, note=note)
        try:
            await connection.run()
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("A Gemini Live connection of the emulator failed")
            await websocket.close(1011, "Internal error encountered.")
        return True

    def _voice(self) -> Voice:
        return ScriptedVoice() if isinstance(self.mind.speaker, ScriptedSpeaker) else RemoteVoice()
