"""The HTTP surface before a cluster: it lets people in and says where; what they say and hear goes to a place directly.

A page's offer and candidates are handed on, since a page talks to its own origin alone; its media then flow between
browser and place. Sockets are redirected before they open, and telephone companies are given the place's own address.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from prometheus_client import Counter, Gauge
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from halfcascade.bot.scale.fleet import Fleet, fleet_of
from halfcascade.bot.scale.placement import Placement
from halfcascade.bot.serve.access import Gatekeeper
from halfcascade.bot.serve.app import App, read_json, sorry
from halfcascade.bot.serve.house import House

_EMULATED = ("SPEECH_EMULATOR_HOST", "TEXTTOSPEECH_EMULATOR_HOST", "GOOGLE_GEMINI_BASE_URL", "SSL_CERT_FILE")
_HAND_ON_SECS = 20.0
_GONE = "The place that held this talk is gone: begin anew."


class Front(App):
    """Answers what clients ask, in the name of the places.

    Args:
        house: Settings and counters; no talk is held in it.
        keeper: Knows who may come.
        placement: Knows the places.
    """

    def __init__(self, house: House, keeper: Gatekeeper, placement: Placement):
        super().__init__(house, keeper)
        self._placement = placement
        self._fleet: Fleet | None = None
        self._http = httpx.AsyncClient(timeout=_HAND_ON_SECS)
        registry = house.measures.registry
        self._places = Gauge("halfcascade_places", "Places that hold talks.", registry=registry)
        self._places.set_function(lambda: len(placement.reports))
        self._held = Gauge("halfcascade_cluster_talks", "Talks that the places hold.", registry=registry)
        self._held.set_function(lambda: placement.taken)
        self._room = Gauge("halfcascade_cluster_talks_most", "Talks that the places may hold.", registry=registry)
        self._room.set_function(lambda: placement.most)
        self._lost = Counter("halfcascade_talks_lost", "Talks that died with their place.", registry=registry)

    def lead(self, fleet: Fleet) -> None:
        """Take the places.

        Args:
            fleet: Looks after them.
        """
        self._fleet = fleet

    def lost(self, name: str, talks: int) -> None:
        """Count what a place took along.

        Args:
            name: Of the place.
            talks: Which it held.
        """
        self._lost.inc(talks)

    @property
    def taken(self) -> int:
        """How many talks the places hold."""
        return self._placement.taken

    async def drain(self, patience: float) -> None:
        """Let nobody else in, and let those who talk finish.

        Args:
            patience: How long they may go on, in seconds.
        """
        self._house.rooms.draining = True
        if self._fleet:
            await self._fleet.drain(patience)

    async def close(self) -> None:
        """End what is left."""
        await super().close()
        await self._http.aclose()

    def _has_room(self) -> bool:
        return not self._house.rooms.draining and self._placement.choose(time.monotonic()) is not None

    async def _give_ticket(self, wishes: dict[str, Any]) -> str | Response:
        tried: set[str] = set()
        while self._fleet and (name := self._placement.choose(time.monotonic(), tried)):
            if ticket := await self._fleet.issue(name, wishes):
                self._placement.sent(name, ticket, time.monotonic())
                return ticket
            tried.add(name)
        return self._full()

    def _stream_url(self, request: Request, ticket: str) -> str:
        home = self._placement.home(ticket)
        return self._placement.reports[home].stream_url if home else ""

    # Offers and candidates are handed on

    async def _offer(self, request: Request) -> Response:
        sent = await read_json(request)
        if sent is None:
            return sorry(400, "That was no JSON object.")
        known = sent.get("pc_id")
        if known is not None:
            return await self._hand_on(request, known, "/api/offer")
        ticket = request.path_params.get("ticket")
        if ticket is None:
            if refusal := self._refusal(request):
                return refusal
            given = await self._give_ticket({})
            if isinstance(given, Response):
                return given
            ticket = given
        answer = await self._hand_on(request, ticket, f"/sessions/{ticket}/api/offer")
        self._placement.forget(ticket)
        return answer

    async def _hand_on(self, request: Request, key: Any, path: str) -> Response:
        home = self._placement.home(key) if isinstance(key, str) else None
        if home is None:
            return sorry(404, _GONE)
        url = self._placement.reports[home].url + path
        kind = {"content-type": "application/json"}
        try:
            answer = await self._http.request(request.method, url, content=await request.body(), headers=kind)
        except httpx.HTTPError:
            return sorry(503, _GONE)
        if answer.is_success and isinstance(number := answer.json().get("pc_id"), str):
            self._placement.settle(home, number)
        kept = Headers({name: answer.headers[name] for name in ("retry-after",) if name in answer.headers})
        return Response(answer.content, answer.status_code, kept, answer.headers.get("content-type"))

    # Sockets go to a place themselves

    async def _websocket(self, websocket: WebSocket) -> None:
        await self._redirect(websocket, "/ws-client")

    async def _telephone(self, websocket: WebSocket) -> None:
        await self._redirect(websocket, "/ws")

    async def _redirect(self, websocket: WebSocket, path: str) -> None:
        await websocket.send_denial_response(await self._direction(websocket, path))

    async def _direction(self, websocket: WebSocket, path: str) -> Response:
        ticket = websocket.path_params.get("ticket")
        if ticket is None:
            if refusal := self._refusal(websocket):
                return refusal
            given = await self._give_ticket({})
            if isinstance(given, Response):
                return given
            ticket = given
        home = self._placement.home(ticket)
        if home is None:
            return self._refuse(403, "ticket", "That ticket was used or is too old: ask for another at /start.")
        self._placement.forget(ticket)
        return Response(
            status_code=307, headers={"location": f"{self._placement.reports[home].stream_url}{path}/{ticket}"}
        )

    async def _readyz(self, request: Request) -> Response:
        state = {
            "talks": self._placement.taken,
            "most": self._placement.most,
            "places": len(self._placement.reports),
            "draining": self._house.rooms.draining,
        }
        return JSONResponse(state, 200 if self._has_room() else 503)


@asynccontextmanager
async def front(house: House, keeper: Gatekeeper, *, emulated: bool) -> AsyncIterator[Front]:
    """Make the front of a cluster, and look after its places.

    Args:
        house: Settings and counters.
        keeper: Knows who may come.
        emulated: Whether the services are an emulator on this machine.

    Raises:
        ConfigurationError: If there is no such cluster.
    """
    serve, environ = house.serve, house.environ or {}
    origins = [*serve.origins, serve.url, *([f"https://{serve.public_host}"] if serve.public_host else [])]
    emulator = {name: environ[name] for name in _EMULATED if name in environ} if emulated else None
    placement = Placement()
    app = Front(house, keeper, placement)
    async with fleet_of(
        house.settings, serve, placement, origins=origins, emulator=emulator, on_lost=app.lost
    ) as fleet:
        app.lead(fleet)
        yield app
