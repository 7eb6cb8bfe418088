"""gRPC methods as data: one table serves every version of an API, over gRPC and, where Google has it, over HTTP."""

import functools
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from halfcascade.emulator.web.versions import Service, find_version

Unary = Callable[[Any, Any], Awaitable[Any]]

_PATH = re.compile(r"/([\w.]+)\.(v\w+)\.(\w+)/(\w+)")


class Undecodable:
    """Stands for a message that is no protocol buffer of its kind."""


@dataclass(frozen=True)
class Rpc:
    """One method of one version.

    Parameters:
        name: Such as ``Recognize``.
        request: Class of its request protobuf.
        handler: Answers it: ``(request, context)``, or ``(requests, context)`` if it streams.
        streams: Whether it is bidirectional.
    """

    name: str
    request: Any
    handler: Any
    streams: bool = False


@dataclass(frozen=True)
class Interface:
    """The methods of one interface of one version, made when it is called first: protos are slow to import.

    Parameters:
        service: Which API it is of.
        package: Without the version, such as ``google.cloud.speech``.
        version: Such as ``v2``; "" = the package has none.
        name: Such as ``Speech``.
        make: Gives the methods.
    """

    service: Service
    package: str
    version: str
    name: str
    make: Callable[[], Sequence[Rpc]]

    @functools.cached_property
    def methods(self) -> dict[str, Rpc]:
        """The methods by name."""
        return {rpc.name: rpc for rpc in self.make()}


class Interfaces(grpc.GenericRpcHandler):
    """Finds who answers a gRPC path.

    Parameters:
        interfaces: All of them.
    """

    def __init__(self, interfaces: Sequence[Interface]) -> None:
        self._table = {(item.package, item.version, item.name): item for item in interfaces}
        self._services = {item.package: item.service for item in interfaces}

    def find(self, path: str) -> Rpc | None:
        """Find a method by its gRPC path.

        Args:
            path: Such as ``/google.cloud.speech.v2.Speech/Recognize``.
        """
        package, _, rest = path.lstrip("/").rpartition(".")
        name, _, method = rest.partition("/")
        version = ""
        if match := _PATH.fullmatch(path):
            package, version, name, method = match.groups()
            row = find_version(self._services[package], version) if package in self._services else None
            version = row.name if row else version
        interface = self._table.get((package, version, name))
        return interface.methods.get(method) if interface else None

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Find the handler of a call (gRPC)."""
        rpc = self.find(handler_call_details.method)
        if rpc is None:
            return None
        make = grpc.stream_stream_rpc_method_handler if rpc.streams else grpc.unary_unary_rpc_method_handler
        handler = rpc.handler if rpc.streams else functools.partial(_answer, rpc.handler)
        return make(handler, request_deserializer=_decoder(rpc.request), response_serializer=_serialize)


async def _answer(handler: Unary, request: Any, context: grpc.aio.ServicerContext) -> Any:
    if isinstance(request, Undecodable):
        await refuse_undecodable(context)
    return await handler(request, context)


async def refuse_undecodable(context: Any) -> NoReturn:
    """End a call whose message could not be read."""
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, UNDECODABLE_TEXT)
    raise AssertionError("gRPC's abort always raises")


UNDECODABLE_TEXT = "Request contains an invalid argument: the message could not be parsed."


def _decoder(kind: Any) -> Callable[[bytes], Any]:
    def decode(data: bytes) -> Any:
        # gRPC ends a call whose deserializer raises without telling the client anything.
        try:
            return kind.FromString(data)
        except DecodeError:
            return Undecodable()

    return decode


def _serialize(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
