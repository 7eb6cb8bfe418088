"""The server's HTTP surface: the page, the ways in for browsers, telephones and programs, and what watches it.

The paths are those of Pipecat's development runner (``/start``, ``/api/offer``, ``/sessions/…``, ``/ws-client``,
``/ws``), so that its clients, and telephone companies set up for it, find their way.
"""

import asyncio
import html
import json
import time
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.runner.types import SmallWebRTCRunnerArguments, WebSocketRunnerArguments
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from halfcascade.bot.outcome import Outcome
from halfcascade.bot.serve.access import Gatekeeper
from halfcascade.bot.serve.browsers import Browsers, Offer, open_browsers, text_of
from halfcascade.bot.serve.guard import Guard
from halfcascade.bot.serve.house import House
from halfcascade.bot.serve.limits import Strain
from halfcascade.bot.serve.visit import Visit
from halfcascade.processors.chirp_tts.voices import GENDERS, LOCALES
from halfcascade.processors.threads import watched

PAGE = Path(__file__).parent / "page"
_RETRY_SECS = 15
_FULL = "All places are taken at the moment. Please try again in a little while."
_TWILIO = '<Response><Connect><Stream url="{url}"/></Connect></Response>'
_TELNYX = '<Response><Connect><Stream url="{url}" bidirectionalMode="rtp"/></Connect></Response>'
_PLIVO = (
    '<Response><Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000">{url}</Stream>'
    "</Response>"
)
_CALLS = {"twilio": _TWILIO, "telnyx": _TELNYX, "plivo": _PLIVO}


class App:
    """Answers what clients ask.

    Args:
        house: What all talks of this process share.
        keeper: Knows who may come.
        visit: Holds the talk of whoever was let in.
    """

    def __init__(self, house: House, keeper: Gatekeeper, visit: type[Visit] = Visit):
        self._house = house
        self._visit = visit
        self._keeper = keeper
        self._visits: set[asyncio.Task[None]] = set()
        self._browsers = open_browsers(house.serve.ice_servers)

    def build(self) -> Starlette:
        """Make the ASGI application."""
        routes = [
            Route("/", self._page),
            Route("/api/config", self._config),
            Route("/start", self._start, methods=["POST"]),
            Route("/api/offer", self._offer, methods=["POST", "PATCH"]),
            Route("/sessions/{ticket}/api/offer", self._offer, methods=["POST", "PATCH"]),
            WebSocketRoute("/ws-client", self._websocket),
            WebSocketRoute("/ws-client/{ticket}", self._websocket),
            WebSocketRoute("/ws", self._telephone),
            WebSocketRoute("/ws/{ticket}", self._telephone),
            Route("/calls/{company}", self._call, methods=["POST"]),
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
            Mount("/page", StaticFiles(directory=PAGE)),
        ]
        guard = Middleware(Guard, keeper=self._keeper, measures=self._house.measures)
        return Starlette(routes=routes, middleware=[guard])

    @property
    def strain(self) -> Strain:
        """Whether the process keeps up with its talks."""
        return self._house.rooms.strain

    @property
    def taken(self) -> int:
        """How many talks are held."""
        return self._house.rooms.taken

    async def drain(self, patience: float) -> None:
        """Let nobody else in, and let those who talk finish.

        Args:
            patience: How long they may go on, in seconds.
        """
        self._house.rooms.draining = True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._house.rooms.wait_until_empty(), patience)

    async def close(self) -> None:
        """End what is left of talks and connections."""
        self._house.end_all("the server ends")
        if self._visits:
            await asyncio.wait(self._visits, timeout=20.0)
        for task in self._visits:
            task.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)
        if self._browsers:
            await self._browsers.close()

    # The page and what it needs to know

    async def _page(self, request: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def _config(self, request: Request) -> Response:
        settings = self._house.settings
        voices = [{"name": name, "gender": gender} for name, gender in sorted(GENDERS.items())]
        return JSONResponse(
            {
                "languages": LOCALES,
                "voices": voices,
                "language": settings.language,
                "voice": settings.voice.rpartition("-")[2],
                "token": self._keeper.token is not None,
                "webrtc": self._browsers is not None,
                "keeps": bool(self._house.serve.keep_sessions),
                "iceServers": _ice_config(self._house),
            }
        )

    # Ways in

    async def _start(self, request: Request) -> Response:
        """Give a ticket for one talk."""
        if refusal := self._refusal(request):
            return refusal
        wishes = await read_json(request)
        if wishes is None:
            return sorry(400, "That was no JSON object.")
        body = wishes.get("body", wishes)
        ticket = await self._give_ticket(body if isinstance(body, dict) else {})
        if isinstance(ticket, Response):
            return ticket
        return JSONResponse({"sessionId": ticket, "iceConfig": {"iceServers": _ice_config(self._house)}})

    async def _give_ticket(self, wishes: dict[str, Any]) -> str | Response:
        """Give a ticket to somebody who may have one, or say why there is none."""
        return self._keeper.issue(time.monotonic(), wishes)

    async def _offer(self, request: Request) -> Response:
        if (browsers := self._browsers) is None:
            return sorry(501, "Browsers cannot talk here: aiortc is not installed.")
        sent = await read_json(request)
        if sent is None:
            return sorry(400, "That was no JSON object.")
        try:
            if request.method == "PATCH":
                return await self._candidates(sent, browsers)
            return await self._answer(request, sent, browsers)
        except Exception as error:  # whatever parsers of SDP and candidates may raise
            logger.info(f"An offer that makes no sense was refused ({type(error).__name__}).")
            return sorry(400, "That was no offer of WebRTC.")

    async def _answer(self, request: Request, sent: dict[str, Any], browsers: Browsers) -> Response:
        if (number := sent.get("pc_id")) is not None:
            # Known by a number that only this client was told: its talk goes on.
            if not browsers.knows(text_of(number)):
                return sorry(404, "That talk is over.")
            return JSONResponse(await browsers.go_on(number, Offer.of(sent)))
        admitted = self._admit(request)
        if isinstance(admitted, Response):
            return admitted
        try:
            connection, answer = await browsers.meet(Offer.of(sent))
        except BaseException:
            self._house.rooms.leave()
            raise
        wishes = admitted | _wishes_of(sent)
        arguments = SmallWebRTCRunnerArguments(connection, body=wishes, session_id=_new_name())
        self._begin(self._visit(self._house, arguments).hold())
        return JSONResponse(answer)

    async def _candidates(self, sent: dict[str, Any], browsers: Browsers) -> Response:
        if not await browsers.add_candidates(text_of(sent["pc_id"]), sent["candidates"]):
            return sorry(404, "That talk is over.")
        return JSONResponse({"status": "success"})

    async def _websocket(self, websocket: WebSocket) -> None:
        await self._talk_over(websocket, "websocket")

    async def _telephone(self, websocket: WebSocket) -> None:
        await self._talk_over(websocket, None)

    async def _talk_over(self, websocket: WebSocket, kind: str | None) -> None:
        admitted = self._admit(websocket)
        if isinstance(admitted, Response):
            # An answer in place of the handshake, so that the client learns the reason and when to come again.
            await websocket.send_denial_response(admitted)
            return
        try:
            await websocket.accept()
            arguments = WebSocketRunnerArguments(websocket, kind, body=admitted, session_id=_new_name())
            outcome = await self._visit(self._house, arguments).hold()
        finally:
            self._house.rooms.leave()
        if websocket.application_state is WebSocketState.CONNECTED:
            with suppress(RuntimeError, OSError, WebSocketDisconnect):  # the client was quicker
                await websocket.close(1011 if outcome.failure else 1000)

    async def _call(self, request: Request) -> Response:
        """Tell a telephone company where to bring a call."""
        form = _CALLS.get(request.path_params["company"])
        if not form:
            return sorry(404, f"No such telephone company: one of {', '.join(_CALLS)}.")
        if refusal := self._refusal(request):
            return refusal
        ticket = await self._give_ticket({})
        if isinstance(ticket, Response):
            return ticket
        url = f"{self._stream_url(request, ticket)}/ws/{ticket}"
        head = '<?xml version="1.0" encoding="UTF-8"?>'
        return Response(head + form.format(url=html.escape(url)), media_type="application/xml")

    def _stream_url(self, request: Request, ticket: str) -> str:
        """Where a telephone company finds the sockets of this server."""
        serve = self._house.serve
        secure = "wss" if serve.public_host or serve.tls_certificate else "ws"
        return f"{secure}://{serve.public_host or request.headers.get('host', '')}"

    def _begin(self, talk: Coroutine[Any, Any, Outcome]) -> None:
        """Hold a talk in a room that was entered, after the request is answered."""

        async def hold() -> None:
            try:
                await talk
            finally:
                self._house.rooms.leave()

        task = watched(asyncio.create_task(hold(), name="visit"), "A visit")
        self._visits.add(task)
        task.add_done_callback(self._visits.discard)

    def _admit(self, request: HTTPConnection) -> "dict[str, Any] | Response":
        """Enter a room for a caller with a ticket or the token; gives what was wished for with the ticket."""
        wishes: dict[str, Any] = {}
        if number := request.path_params.get("ticket"):
            ticket = self._keeper.redeem(number, time.monotonic())
            if not ticket:
                return self._refuse(403, "ticket", "That ticket was used or is too old: ask for another at /start.")
            wishes = ticket.wishes
        elif not self._keeper.knows_token(request.headers.get("authorization")):
            return self._refuse(401, "token", "The token is missing or wrong.")
        return wishes if self._house.rooms.enter() else self._full()

    def _refusal(self, request: HTTPConnection) -> Response | None:
        if not self._keeper.knows_token(request.headers.get("authorization")):
            return self._refuse(401, "token", "The token is missing or wrong.")
        return None if self._has_room() else self._full()

    def _has_room(self) -> bool:
        return self._house.rooms.has_room

    def _full(self) -> Response:
        return self._refuse(503, "full", _FULL)

    def _refuse(self, status: int, why: str, text: str) -> Response:
        self._house.measures.refused.labels(why).inc()
        return sorry(status, text)

    # For what watches

    async def _healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok")

    async def _readyz(self, request: Request) -> Response:
        rooms = self._house.rooms
        state = {"talks": rooms.taken, "most": rooms.most, "draining": rooms.draining}
        return JSONResponse(state, 200 if rooms.has_room else 503)

    async def _metrics(self, request: Request) -> Response:
        if not self._keeper.knows_token(request.headers.get("authorization")):
            return self._refuse(401, "token", "The token is missing or wrong.")
        return Response(self._house.measures.text(), media_type="text/plain; version=0.0.4")


def sorry(status: int, text: str) -> Response:
    """Answer with an error.

    Args:
        status: Of HTTP.
        text: A sentence for a person.
    """
    headers = {503: {"retry-after": str(_RETRY_SECS)}, 401: {"www-authenticate": "Bearer"}}.get(status)
    return JSONResponse({"error": text}, status, headers)


async def read_json(request: Request) -> dict[str, Any] | None:
    """Read a body that is a JSON object.

    Args:
        request: Whose body; an empty one is an empty object.

    Returns:
        The object, or None if it is none.
    """
    try:
        body = await request.body()
        sent = json.loads(body) if body else {}
    except (ValueError, RecursionError, ClientDisconnect):
        return None
    return sent if isinstance(sent, dict) else None


def _wishes_of(sent: dict[str, Any]) -> dict[str, Any]:
    data = sent.get("request_data") or sent.get("requestData")
    return data if isinstance(data, dict) else {}


def _new_name() -> str:
    return f"{time.strftime('%Y-%m-%dT%H-%M-%S')}-{uuid.uuid4().hex[:8]}"


def _ice_config(house: House) -> list[dict[str, Any]]:
    return [{"urls": [url]} for url in house.serve.ice_servers]
