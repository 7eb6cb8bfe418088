"""The emulator's own HTTP interface: what it plays, how fast, what goes wrong, and what has happened."""

import asyncio
import dataclasses
import json
from collections.abc import Callable
from typing import Any, Protocol

from starlette.responses import JSONResponse, PlainTextResponse, Response

from halfcascade.emulator.bugs import BUGS, add_bug
from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.faults import Fault, Faults
from halfcascade.emulator.listening import PLACEHOLDER_KEY
from halfcascade.emulator.live.errors import Refusal
from halfcascade.emulator.live.faults import Drop, GoAway, LiveFaults, TurnFault
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.profiles import profile_names
from halfcascade.emulator.web.app import Call, Route
from halfcascade.emulator.web.errors import invalid

_MOST_ENTRIES = 1_000
_GRPC_KEYS = {field.name for field in dataclasses.fields(Fault)}
_LIVE_LISTS: dict[str, Callable[..., Any]] = {"go_aways": GoAway, "drops": Drop, "turns": TurnFault}
_REFUSALS = ("refuse_setups_with", "refuse_handles_with")


class Controlled(Protocol):
    """What can be changed while it runs."""

    faults: Faults
    log: UsageLog

    def describe(self) -> dict[str, Any]:
        """Say how it is set."""

    async def change(self, settings: dict[str, Any]) -> None:
        """Take other settings: ``scenario``, ``profile``, ``clock_scale``.

        Raises:
            EmulatorError: If one of them is not valid.
        """

    async def reset(self) -> None:
        """Forget everything that has happened, and all faults."""


class Control:
    """Answers the interface.

    Parameters:
        emulator: What is controlled.
    """

    def __init__(self, emulator: Controlled) -> None:
        self._emulator = emulator

    def routes(self) -> list[Route]:
        """List what is answered. No web page from elsewhere may call it."""
        rows = [
            ("GET", "emulator/openapi.json", self._document),
            ("GET", "emulator", self._describe),
            ("PATCH", "emulator", self._change),
            ("GET", "emulator/faults", self._list_faults),
            ("POST", "emulator/faults", self._add_fault),
            ("DELETE", "emulator/faults", self._clear_faults),
            ("GET", "emulator/journal", self._journal),
            ("DELETE", "emulator/journal", self._clear_journal),
            ("POST", "emulator/reset", self._reset),
        ]
        own = [Route(method, path, handler, open_to_pages=False) for method, path, handler in rows]
        return [*basic_routes(), *own]

    async def _describe(self, call: Call) -> Response:
        return JSONResponse(self._emulator.describe())

    async def _change(self, call: Call) -> Response:
        try:
            await self._emulator.change(await call.json())
        except EmulatorError as error:
            raise invalid(str(error)) from error
        return JSONResponse(self._emulator.describe())

    async def _list_faults(self, call: Call) -> Response:
        faults = self._emulator.faults
        return JSONResponse(
            {
                "pending": [dataclasses.asdict(fault) for fault in faults.pending],
                "live": dataclasses.asdict(faults.live),
                "named": {bug.name: {"about": bug.about, "link": bug.link} for bug in BUGS.values()},
            }
        )

    async def _add_fault(self, call: Call) -> Response:
        body = await call.json()
        try:
            add_faults(self._emulator.faults, body)
        except EmulatorError as error:
            raise invalid(str(error)) from error
        return await self._list_faults(call)

    async def _clear_faults(self, call: Call) -> Response:
        clear_faults(self._emulator.faults)
        return Response(status_code=204)

    async def _journal(self, call: Call) -> Response:
        query = call.caller.query
        entries = list(self._emulator.log)
        for name in ("api", "event"):
            if wanted := query.get(name):
                entries = [entry for entry in entries if getattr(entry, name) == wanted]
        limit = int(query["limit"]) if query.get("limit", "").isdecimal() else _MOST_ENTRIES
        rows = [dataclasses.asdict(entry) for entry in entries[-limit:]] if limit else []
        return Response(
            await asyncio.to_thread(json.dumps, {"entries": rows}, default=repr), media_type="application/json"
        )

    async def _clear_journal(self, call: Call) -> Response:
        self._emulator.log.clear()
        return Response(status_code=204)

    async def _reset(self, call: Call) -> Response:
        await self._emulator.reset()
        return Response(status_code=204)

    async def _document(self, call: Call) -> Response:
        return JSONResponse(openapi())


async def _health(call: Call) -> Response:
    return PlainTextResponse("ok\n")


async def _token(call: Call) -> Response:
    # Stands for oauth2.googleapis.com/token, for clients that fetch one before they call.
    return JSONResponse({"access_token": PLACEHOLDER_KEY, "token_type": "Bearer", "expires_in": 3600})


def basic_routes() -> list[Route]:
    """List what every server of these ports answers, whatever stands behind them."""
    return [
        Route("GET", "healthz", _health, open_to_pages=False),
        Route("POST", "token", _token, open_to_pages=False),
    ]


def add_faults(faults: Faults, body: dict[str, Any]) -> None:
    """Add faults that are written as JSON.

    Args:
        faults: Where they are added.
        body: ``{"name": "silent-turn"}``, ``{"live": {"drops": [{"turn": 2, "phase": "answer"}]}}`` with the fields of
            ``LiveFaults``, or a ``Fault`` such as ``{"api": "speech", "kind": "drop"}``; ``seed``
            beside them decides what is random.

    Raises:
        EmulatorError: If it is none of these.
    """
    body = dict(body)
    if "seed" in body:
        _set_live(faults.live, {"seed": body.pop("seed")})
    if "name" in body:
        add_bug(faults, str(body["name"]))
    elif "live" in body:
        _set_live(faults.live, body["live"])
    elif body:
        unknown = sorted(set(body) - _GRPC_KEYS)
        if unknown or body.get("api") not in ("speech", "tts", "generate"):
            raise EmulatorError(f"A fault needs an api (speech, tts or generate) and may have {sorted(_GRPC_KEYS)}.")
        if body.get("kind") not in ("drop", "error", "stall", "mute"):
            raise EmulatorError("A fault's kind is drop, error, stall or mute.")
        faults.add(Fault(**body))


def clear_faults(faults: Faults) -> None:
    """Let nothing go wrong any more."""
    faults.pending.clear()
    fresh = LiveFaults()
    for field in dataclasses.fields(LiveFaults):
        setattr(faults.live, field.name, getattr(fresh, field.name))


def _set_live(live: LiveFaults, values: Any) -> None:
    known = {field.name for field in dataclasses.fields(LiveFaults)}
    if not isinstance(values, dict) or (unknown := sorted(set(values) - known)):
        raise EmulatorError(f"Gemini Live has no such faults: use {', '.join(sorted(known))}." if values else "Empty.")
    del unknown
    for name, value in values.items():
        try:
            if name in _LIVE_LISTS:
                made = [_make(_LIVE_LISTS[name], item) for item in value]
                getattr(live, name).extend(made)
            elif name in _REFUSALS:
                setattr(live, name, Refusal(**value))
            else:
                kind = type(getattr(LiveFaults(), name))
                if not isinstance(value, int if kind is float else kind) and not isinstance(value, kind):
                    raise TypeError(f"{name} must be of type {kind.__name__}")
                setattr(live, name, value)
        except (TypeError, ValueError) as error:
            raise EmulatorError(f"The fault {name} is not valid: {error}.") from error


def _make(kind: Callable[..., Any], item: Any) -> Any:
    if isinstance(item, dict) and isinstance(item.get("refusal"), dict):
        item = {**item, "refusal": Refusal(**item["refusal"])}
    return kind(**item)


def openapi() -> dict[str, Any]:
    """Describe the interface (OpenAPI 3.1)."""
    json_of = {"content": {"application/json": {"schema": {"type": "object"}}}}
    done = {"204": {"description": "Done."}}
    found = {"200": {"description": "As it is now.", **json_of}, "400": {"description": "Not valid.", **json_of}}
    settings = {
        "type": "object",
        "properties": {
            "scenario": {"type": "object", "description": "As in a scenario file."},
            "profile": {"description": f"Name ({', '.join(profile_names())}) or tables of a latency profile."},
            "clock_scale": {"type": "number", "exclusiveMinimum": 0},
        },
        "additionalProperties": False,
    }
    fault = {
        "oneOf": [
            {"type": "object", "properties": {"name": {"enum": list(BUGS)}}, "required": ["name"]},
            {"type": "object", "properties": {"live": {"type": "object"}}, "required": ["live"]},
            {
                "type": "object",
                "properties": {
                    "api": {"enum": ["speech", "tts", "generate"]},
                    "kind": {"enum": ["drop", "error", "stall", "mute"]},
                },
                "required": ["api", "kind"],
            },
        ]
    }

    def body(schema: dict[str, Any]) -> dict[str, Any]:
        return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}

    def query(name: str, kind: str) -> dict[str, Any]:
        return {"name": name, "in": "query", "schema": {"type": kind}}

    return {
        "openapi": "3.1.0",
        "info": {"title": "halfcascade emulator", "version": "1"},
        "paths": {
            "/healthz": {"get": {"summary": "Whether it serves.", "responses": {"200": {"description": "It does."}}}},
            "/emulator": {
                "get": {"summary": "How it is set.", "responses": found},
                "patch": {"summary": "Set it otherwise.", "responses": found, **body(settings)},
            },
            "/emulator/faults": {
                "get": {"summary": "What is to go wrong.", "responses": found},
                "post": {"summary": "Let more go wrong.", "responses": found, **body(fault)},
                "delete": {"summary": "Let nothing go wrong any more.", "responses": done},
            },
            "/emulator/journal": {
                "get": {
                    "summary": "What the services received and sent, without keys and audio.",
                    "parameters": [query("api", "string"), query("event", "string"), query("limit", "integer")],
                    "responses": found,
                },
                "delete": {"summary": "Forget it.", "responses": done},
            },
            "/emulator/reset": {"post": {"summary": "As it was at the start, for the next test.", "responses": done}},
        },
    }
