"""The proxy that records: clients come here as to an emulator, and every call goes on to Google and onto a cassette."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import grpc
from loguru import logger
from starlette.responses import Response, StreamingResponse
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from halfcascade.emulator.cassettes.upstream import Target, Upstream, may_borrow
from halfcascade.emulator.cassettes.wire_types import message_type, to_json
from halfcascade.emulator.cassettes.writer import Shelf, Writer
from halfcascade.emulator.control import basic_routes
from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.listening import HOST, Ports, Served
from halfcascade.emulator.web.app import App, Call, Route
from halfcascade.emulator.web.errors import ApiError
from halfcascade.emulator.web.socket import Gone, WebSocket

_FOREIGN = "The recorder serves programs of this machine, not web pages from elsewhere: they would borrow its keys."
_CONNECT_SECS = 15.0
_READ_SECS = 300.0
_END_OF_EVENT = re.compile(rb".*(\r?\n){2}", re.DOTALL)
# Of a connection, not of a message; the body comes back as it is read.
_HOP_BY_HOP = {
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


class Recorder(Served):
    """Serves the emulator's ports, and answers with what Google answers.

    Parameters:
        folder: Where cassettes go.
        upstream: Where calls go; None = as this process's environment says.
        ports: Of ``Ports``.

    Raises:
        EmulatorError: If it is to listen where others reach it.
    """

    def __init__(self, folder: Path, upstream: Upstream | None = None, **ports: Any) -> None:
        if (host := str(ports.get("host", HOST))) not in ("127.0.0.1", "localhost", "::1"):
            raise EmulatorError(
                f"The recorder lends its keys to all who reach it, so it does not listen on {host}: leave --host away."
            )
        super().__init__(Ports(**ports))
        self._folder = folder
        self._upstream = upstream or Upstream()
        self._shelf: Shelf | None = None
        self._grpc: GrpcRelay | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            EmulatorError: If the folder cannot be written, or a port is taken.
        """
        self._shelf = Shelf(self._folder)
        self._grpc = GrpcRelay(self._shelf, self._upstream)
        web = WebRelay(self._shelf, self._upstream)
        routes = [*basic_routes(), Route("GET POST PUT PATCH DELETE", ".*", web.answer, open_to_pages=False)]
        try:
            await self._ports.open(self._grpc, App(routes, [web.serve]))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End all calls and close the cassettes."""
        await self._ports.close_web()
        await self._ports.close_grpc()
        if self._grpc is not None:
            await self._grpc.close()
            self._grpc = None
        if self._shelf is not None:
            await self._shelf.close()
            self._shelf = None
        self._ports.remove_certificate()


class GrpcRelay(grpc.GenericRpcHandler):
    """Sends gRPC calls on, as bytes.

    Parameters:
        shelf: Where cassettes go.
        upstream: Where calls go.
    """

    def __init__(self, shelf: Shelf, upstream: Upstream) -> None:
        self._shelf = shelf
        self._upstream = upstream
        self._channels: dict[Target, grpc.aio.Channel] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Take any call; on the wire a unary one is a stream of one message (gRPC)."""
        path = handler_call_details.method

        async def relay(requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
            async for response in self._relay(path, requests, context):
                yield response

        return grpc.stream_stream_rpc_method_handler(relay)

    async def close(self) -> None:
        """Close the channels."""
        await asyncio.gather(*(channel.close() for channel in self._channels.values()), return_exceptions=True)

    async def _relay(
        self, path: str, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        metadata = {str(name): _as_text(value) for name, value in context.invocation_metadata() or ()}
        writer = self._shelf.begin("grpc", path.rpartition("/")[2], path, headers=metadata)
        target = self._upstream.grpc_target(path, metadata)
        try:
            authorization = await self._upstream.authorization(target, metadata.pop("authorization", ""))
            writer.redactor.learn(authorization.partition(" ")[2])
            if authorization and target.is_google:
                metadata["authorization"] = authorization
            call = self._channel(target).stream_stream(path)(
                _noted(requests, path, writer),
                metadata=tuple((name, value) for name, value in metadata.items() if _goes_on(name)),
                timeout=context.time_remaining(),
            )
            kind = message_type(path, "Response")
            async for response in call:
                writer.message("server", response, to_json(kind, response) if kind else None)
                yield response
            context.set_trailing_metadata(_readable(await call.trailing_metadata()))
            writer.end("server", code=(await call.code()).name, message=await call.details() or "")
        except grpc.aio.AioRpcError as error:
            writer.end("server", code=error.code().name, message=error.details() or "")
            await context.abort(error.code(), error.details() or "", _readable(error.trailing_metadata()))
        except EmulatorError as error:
            writer.end("server", code="UNAUTHENTICATED", message=str(error))
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        finally:
            writer.close()

    def _channel(self, target: Target) -> grpc.aio.Channel:
        if target not in self._channels:
            options = [("grpc.max_receive_message_length", -1)]
            if target.tls:
                credentials = grpc.ssl_channel_credentials()
                self._channels[target] = grpc.aio.secure_channel(target.address, credentials, options)
            else:
                self._channels[target] = grpc.aio.insecure_channel(target.address, options)
        return self._channels[target]


async def _noted(requests: AsyncIterator[bytes], path: str, writer: Writer) -> AsyncIterator[bytes]:
    kind = message_type(path, "Request")
    async for request in requests:
        writer.message("client", request, to_json(kind, request) if kind else None)
        yield request
    writer.end("client")


def _goes_on(name: str) -> bool:
    return not name.startswith(("grpc-", ":")) and name not in ("user-agent", "content-type", "te")


def _readable(metadata: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((name, value) for name, value in metadata or () if _goes_on(name))


def _as_text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.hex()


class WebRelay:
    """Sends HTTP requests and websockets on.

    Parameters:
        shelf: Where cassettes go.
        upstream: Where calls go.
    """

    def __init__(self, shelf: Shelf, upstream: Upstream) -> None:
        self._shelf = shelf
        self._upstream = upstream

    async def answer(self, call: Call) -> Response:
        """Answer an HTTP request."""
        if not may_borrow(call.caller.headers):
            raise ApiError("PERMISSION_DENIED", _FOREIGN)
        scope = call.request.scope
        path, method = scope["path"], scope["method"]
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        headers = dict(call.caller.headers)
        body = await call.body()
        writer = self._shelf.begin("http", _label(path), path, query=query, headers=headers, method=method)
        if body:
            writer.message("client", body)
        writer.end("client")
        try:
            target = self._upstream.http_target(path)
            sent, query = await self._as_whom(target, headers, query, writer)
            url = _url("https" if target.tls else "http", target, path, query)
            bundle = self._upstream.bundle()
            answer = await asyncio.to_thread(_request, method, url, sent, body, bundle, by_proxy=target.is_google)
        except EmulatorError as error:
            writer.end("server", error=str(error))
            writer.close()
            raise ApiError("UNAUTHENTICATED", str(error)) from error
        except OSError as error:  # requests' errors too
            writer.end("server", error=f"{type(error).__name__}")
            writer.close()
            raise ApiError("UNAVAILABLE", f"{target.address} does not answer ({type(error).__name__}).") from error
        told = {name.lower(): value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
        writer.head(answer.status_code, told)
        return StreamingResponse(_pieces(answer, writer), answer.status_code, told)

    async def serve(self, websocket: WebSocket) -> bool:
        """Serve a websocket.

        Args:
            websocket: Not accepted yet.

        Returns:
            True: it takes any.
        """
        caller = websocket.caller
        if not may_borrow(caller.headers):
            await websocket.refuse(403, _FOREIGN.encode())
            return True
        query = list(caller.query.items())
        headers = dict(caller.headers)
        writer = self._shelf.begin("websocket", "live", caller.path, query=query, headers=headers)
        try:
            target = self._upstream.http_target(caller.path)
            sent, query = await self._as_whom(target, headers, query, writer)
            url = _url("wss" if target.tls else "ws", target, caller.path, query)
            onward = await connect(
                url,
                ssl=self._upstream.tls() if target.tls else None,
                additional_headers={n: v for n, v in sent.items() if not n.startswith("sec-websocket-")},
                user_agent_header=None,
                compression=None,
                max_size=None,
                open_timeout=_CONNECT_SECS,
                ping_interval=None,
                proxy=None if not target.is_google else True,
            )
        except InvalidStatus as error:
            writer.end("server", status=error.response.status_code)
            await websocket.refuse(error.response.status_code, bytes(error.response.body or b""))
        except (OSError, WebSocketException, EmulatorError) as error:
            told = str(error) if isinstance(error, EmulatorError) else f"{type(error).__name__} at the upstream."
            logger.warning(f"A websocket cannot be recorded: {told}")
            writer.end("server", error=told)
            await websocket.refuse(502, told.encode())
        else:
            await websocket.accept()
            await _exchange(websocket, onward, writer)
        writer.close()
        return True

    async def _as_whom(
        self, target: Target, headers: Mapping[str, str], query: list[tuple[str, str]], writer: Writer
    ) -> tuple[dict[str, str], list[tuple[str, str]]]:
        """Put the right keys into a request's head."""
        sent = {name: value for name, value in headers.items() if name not in _HOP_BY_HOP}
        if "x-goog-api-key" in sent:
            sent["x-goog-api-key"] = self._upstream.api_key(sent["x-goog-api-key"])
            writer.redactor.learn(sent["x-goog-api-key"])
        query = [(name, self._upstream.api_key(value) if name == "key" else value) for name, value in query]
        writer.redactor.learn(*(value for name, value in query if name == "key"))
        if "x-goog-api-key" not in sent and not any(name in ("key", "access_token") for name, _ in query):
            authorization = await self._upstream.authorization(target, sent.pop("authorization", ""))
            if authorization:
                sent["authorization"] = authorization
                writer.redactor.learn(authorization.partition(" ")[2])
        return sent, query


async def _exchange(websocket: WebSocket, onward: ClientConnection, writer: Writer) -> None:
    """Carry frames both ways until one side ends."""

    async def up() -> None:
        async for data in websocket.messages():
            writer.message("client", data)
            await onward.send(data)
        writer.end("client")

    async def down() -> None:
        try:
            async for data in onward:
                writer.message("server", data)
                await websocket.send(data.encode() if isinstance(data, str) else data)
        except ConnectionClosed:
            pass
        code, reason = onward.close_code, onward.close_reason or ""
        writer.end("server", code=code, reason=reason)
        if code is None or code == 1006:
            websocket.abort()
        else:
            await websocket.close(code if code != 1005 else 1000, reason)

    tasks = [asyncio.create_task(up()), asyncio.create_task(down())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            error = task.exception()
            if error is not None and not isinstance(error, Gone | ConnectionClosed):
                logger.opt(exception=error).error("A recorded websocket broke")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CONNECT_SECS):
                await onward.close()


def _request(method: str, url: str, headers: dict[str, str], body: bytes, bundle: str, *, by_proxy: bool) -> Any:
    # google-api-core brings requests along; its errors are OSErrors.
    import requests

    session = requests.Session()
    # No proxy of the environment stands before servers that the environment names.
    session.trust_env = by_proxy
    return session.request(
        method,
        url,
        headers={**headers, "accept-encoding": "identity"},
        data=body,
        stream=True,
        timeout=(_CONNECT_SECS, _READ_SECS),
        verify=bundle,
        allow_redirects=False,
    )


async def _pieces(answer: Any, writer: Writer) -> AsyncIterator[bytes]:
    """Pass a body on as it comes; write it down in wholes, so that no secret is cut in two: events, or all of it."""
    chunks = answer.iter_content(None)
    events = answer.headers.get("content-type", "").startswith("text/event-stream")
    unwritten = b""
    try:
        while piece := await asyncio.to_thread(next, chunks, b""):
            unwritten += piece
            if events and (end := _END_OF_EVENT.search(unwritten)):
                writer.message("server", unwritten[: end.end()])
                unwritten = unwritten[end.end() :]
            yield piece
        if unwritten:
            writer.message("server", unwritten)
        writer.end("server")
    except OSError as error:
        writer.end("server", error=type(error).__name__)
        raise
    finally:
        answer.close()
        writer.close()


def _url(scheme: str, target: Target, path: str, query: list[tuple[str, str]]) -> str:
    told = f"?{urlencode(query)}" if query else ""
    return f"{scheme}://{target.address}{target.path_prefix}/{path.lstrip('/')}{told}"


def _label(path: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in path.rpartition("/")[2])[:60] or "request"
