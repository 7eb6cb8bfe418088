"""The thin shell around google-genai's live connection. All I/O of the brain is here; no decisions are.

Keepalive: the server answers pings late, up to 30 s (facts/live#keepalive), where the websocket library gives up after
20. The socket's settings travel in ``HttpOptions.async_client_args``, which google-genai hands to
``websockets.connect``; use ``processors.live_socket.LIVE_SOCKET_OPTIONS`` for a client of your own. On a client made
without them they are set on the open socket, and attempts to connect are not made side by side.

Audio: models that only speak send 5 to 20 times more bytes of audio than of everything else, and google-genai would
parse and decode all of it. It is cut out of the raw messages before that, so that text does not queue behind audio.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

from google import genai
from google.auth.exceptions import GoogleAuthError
from google.genai import errors, types
from google.genai.live import AsyncSession
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.frames import CloseCode

from halfcascade.processors.live_socket import LIVE_SOCKET_OPTIONS, AnnouncingSocket, on_reached
from halfcascade.processors.racing import Claim, first_through
from halfcascade.processors.threads import on_daemon_thread

CLOSE_SECS = 1.0
"""How long a closing handshake may take; the server must have let go before a resume (facts/live#lifetime)."""

MUTE_CLOSE_SECS = 0.25
"""The same for a connection that seems dead."""

OPEN_SECS = 5.0
"""How long connecting and setup may take together; a network that swallows packets is tried again sooner than not."""

SEND_SECS = 5.0
"""How long a message may take to be handed to the network, which is at once unless that takes nothing."""

BESIDE_SECS = 0.8
"""How long an attempt to connect may hang before another is made beside it; setup included, 0.1 to 1.1 s are usual."""

_SHORTEST_AUDIO = 512
_SOUND_EVERY_SECS = 0.25
_BLOB = b'"inlineData"'
_AUDIO_FIELD = b'"data"'
# Everything a message may say besides audio, by the names of its fields (facts/live#server-messages).
_MORE_THAN_AUDIO = re.compile(
    rb"ranscription|Complete|interrupted|sageMetadata|toolCall|goAway|sessionResumption|interactionStatus|[gG]rounding"
    rb'|"text"|"thought"|waitingForInput|"error"'
)
# After these the next sound may be the first sign of another answer.
_ANSWER_ENDS = re.compile(rb"Complete|interrupted|toolCall")

# The websocket library writes request headers, the API key among them, to its log at DEBUG.
logging.getLogger("websockets.client").setLevel(logging.INFO)


class ConnectionRefused(Exception):
    """The connection was not opened.

    Parameters:
        code: Websocket close code or HTTP status; 0 if there was no answer at all.
        reason: The server's words, or the cause.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class ConnectionLost(Exception):
    """The connection ended.

    Parameters:
        code: Websocket close code.
        reason: The server's words.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


def without_audio(raw: bytes) -> bytes:
    """Cut the base64 data out of a raw message, by looking for quotes: base64 holds none.

    Args:
        raw: JSON.

    Returns:
        The same with empty ``data`` strings.
    """
    kept, position = [], 0
    while (blob := raw.find(_BLOB, position)) >= 0 and (field := raw.find(_AUDIO_FIELD, blob)) >= 0:
        begin = raw.find(b'"', field + len(_AUDIO_FIELD)) + 1
        end = raw.find(b'"', begin)
        if begin <= 0 or end < 0:
            break
        kept.append(raw[position:begin])
        position = end
    kept.append(raw[position:])
    return b"".join(kept)


class SilentSocket:
    """A Live websocket without the audio: what is left of it is that there was some."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self._last_sound = 0.0

    async def recv(self, *, decode: bool | None = None) -> bytes:
        """Receive a message, its audio cut out.

        Of messages with nothing but audio one in a while is let through, and the first of every answer.

        Args:
            decode: Ignored; messages are bytes.

        Returns:
            The message.
        """
        while True:
            raw: bytes = await self.socket.recv(decode=False)
            message = raw if len(raw) < _SHORTEST_AUDIO else without_audio(raw)
            if len(message) == len(raw) or _MORE_THAN_AUDIO.search(message):
                if _ANSWER_ENDS.search(message):
                    self._last_sound = 0.0
                return message
            now = time.monotonic()
            if now >= self._last_sound + _SOUND_EVERY_SECS:
                self._last_sound = now
                return message

    async def send(self, message: str) -> None:
        """Send a message.

        Args:
            message: JSON.
        """
        await self.socket.send(message)

    async def close(self) -> None:
        """Close the connection."""
        await self.socket.close()


class LiveConnection:
    """One websocket to a Live server, from setup to close."""

    def __init__(self, session: AsyncSession, stack: AsyncExitStack) -> None:
        self._session = session
        self._socket: Any = session._ws
        self._stack = stack

    @classmethod
    async def open(cls, client: genai.Client, model: str, config: types.LiveConnectConfig) -> "LiveConnection":
        """Connect and set up.

        Args:
            client: google-genai client, of the Developer API or of Vertex AI.
            model: Model name.
            config: Setup.

        Returns:
            The connection, ready for turns.

        Raises:
            ConnectionRefused: If the server cannot be reached or refuses the setup.
        """
        try:
            async with asyncio.timeout(OPEN_SECS):
                if client.vertexai and not client._api_client.api_key:
                    # google-genai would refresh the token in the event loop, which stalls everybody's audio.
                    await on_daemon_thread(client._api_client._access_token)
                if not _announces(client):
                    return await cls._open(client, model, config)

                async def attempt(claim: Claim) -> LiveConnection:
                    on_reached.set(claim)
                    return await cls._open(client, model, config)

                return await first_through(attempt, BESIDE_SECS)
        except Exception as error:
            refused = _as_refusal(error)
            if refused is None:
                raise
            raise refused from error

    @classmethod
    async def _open(cls, client: genai.Client, model: str, config: types.LiveConnectConfig) -> "LiveConnection":
        stack = AsyncExitStack()
        try:
            session = await stack.enter_async_context(client.aio.live.connect(model=model, config=config))
        except BaseException:
            await stack.aclose()
            raise
        socket = session._ws
        socket.ping_interval = LIVE_SOCKET_OPTIONS["ping_interval"]
        socket.ping_timeout = LIVE_SOCKET_OPTIONS["ping_timeout"]
        socket.close_timeout = CLOSE_SECS
        connection = cls(session, stack)
        session._ws = SilentSocket(socket)  # type: ignore[assignment]
        return connection

    async def messages(self) -> AsyncIterator[types.LiveServerMessage]:
        """Yield what the server sends until the connection ends.

        Raises:
            ConnectionLost: When it ends, whoever ended it.
        """
        try:
            while True:
                async for message in self._session.receive():
                    yield message
        except errors.APIError as error:
            raise ConnectionLost(error.code or 0, str(error.message or error.details or "")) from error
        except ConnectionClosed as error:
            raise _lost(error) from error
        except OSError as error:
            raise ConnectionLost(0, str(error)) from error

    async def send_content(self, contents: Sequence[types.Content], *, complete: bool) -> None:
        """Write ``clientContent``.

        Args:
            contents: Turns with roles; none cancels a running answer (facts/live#interruption).
            complete: Whether the model is to answer.

        Raises:
            ConnectionLost: If the connection is gone.
        """
        await self._write(self._session.send_client_content(turns=list(contents) or None, turn_complete=complete))

    async def send_text(self, text: str) -> None:
        """Write ``realtimeInput.text``.

        Args:
            text: Of the user.

        Raises:
            ConnectionLost: If the connection is gone.
        """
        await self._write(self._session.send_realtime_input(text=text))

    async def send_results(self, responses: Sequence[types.FunctionResponse]) -> None:
        """Write ``toolResponse``.

        Args:
            responses: One for each call.

        Raises:
            ConnectionLost: If the connection is gone.
        """
        await self._write(self._session.send_tool_response(function_responses=list(responses)))

    async def ping(self) -> bool:
        """Ask for a sign of life.

        Returns:
            Whether it came before the connection was over.
        """
        try:
            await (await self._socket.ping())
        except (ConnectionClosed, OSError):
            return False
        return True

    async def close(self, secs: float = CLOSE_SECS) -> bool:
        """Close; returns when the server has let go, or after twice ``secs``.

        Args:
            secs: How long each half of the handshake may take.

        Returns:
            Whether the server has let go.
        """
        self._socket.close_timeout = secs
        try:
            async with asyncio.timeout(2 * secs):
                await self._stack.aclose()
        except (TimeoutError, ConnectionClosed, OSError):
            return False
        return self._socket.close_code not in (None, CloseCode.ABNORMAL_CLOSURE)

    async def _write(self, sending: Any) -> None:
        try:
            # A network that takes nothing blocks whoever writes more than its buffers hold.
            async with asyncio.timeout(SEND_SECS):
                await sending
        except ConnectionClosed as error:
            raise _lost(error) from error
        except TimeoutError as error:
            raise ConnectionLost(0, "nothing can be sent") from error
        except OSError as error:
            raise ConnectionLost(0, str(error)) from error


def _announces(client: genai.Client) -> bool:
    """Whether sockets of a client tell when they get through: two of one session must not be set up at a time."""
    return (client._api_client._http_options.async_client_args or {}).get("create_connection") is AnnouncingSocket


def _lost(error: ConnectionClosed) -> ConnectionLost:
    frame = error.rcvd or error.sent
    return ConnectionLost(frame.code, frame.reason) if frame else ConnectionLost(1006, "connection lost")


def _as_refusal(error: BaseException) -> ConnectionRefused | None:
    """Name the reason a connection was not opened; None for what is no refusal (cancellation, our own mistakes)."""
    match error:
        case errors.APIError():
            code, reason = error.code or 0, str(error.message or error.details or "")
        case InvalidStatus():
            code, reason = error.response.status_code, error.response.reason_phrase
        case ConnectionClosed():
            lost = _lost(error)
            code, reason = lost.code, lost.reason
        case GoogleAuthError():
            code, reason = 401, "no usable credentials"
        case TimeoutError():
            code, reason = 0, "no answer in time"
        case OSError() | InvalidHandshake():
            code, reason = 0, str(error) or type(error).__name__
        case _:
            return None
    return ConnectionRefused(code, reason)
