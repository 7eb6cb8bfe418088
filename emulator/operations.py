"""Long-running operations: work that goes on after its call was answered, and is asked for by name."""

import asyncio
import itertools
import uuid
from collections.abc import Coroutine, Sequence
from typing import Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from google.rpc import code_pb2
from loguru import logger

from halfcascade.emulator.actions import RequestError
from halfcascade.emulator.call import abort
from halfcascade.emulator.minds.base import MindError
from halfcascade.emulator.rpc import Rpc

_MOST = 1_000


class Operations:
    """The operations of an emulator; the oldest are forgotten beyond a thousand."""

    def __init__(self) -> None:
        self._operations: dict[str, operations_pb2.Operation] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def done(self, name: str, response: Any, metadata: Any = None) -> Any:
        """Make an operation that is over.

        Args:
            name: Its name, or "" for one of the old, numeric kind.
            response: Protobuf.
            metadata: Protobuf, or None.
        """
        operation = self._new(name, metadata)
        operation.done = True
        operation.response.Pack(response)
        return operation

    def begin(self, name: str, work: Coroutine[Any, Any, Any], metadata: Any = None) -> Any:
        """Begin work and give the operation that stands for it.

        Args:
            name: Its name, or "" for one of the old, numeric kind.
            work: Gives the response protobuf.
            metadata: Protobuf, or None; its progress is kept up to date.
        """
        operation = self._new(name, metadata)
        self._tasks[operation.name] = asyncio.create_task(self._work(operation, work, metadata))
        copy = operations_pb2.Operation()
        copy.CopyFrom(operation)
        return copy

    async def stop(self) -> None:
        """Give up all work."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def rpcs(self) -> Sequence[Rpc]:
        """Give ``google.longrunning.Operations``."""
        return [
            Rpc("GetOperation", operations_pb2.GetOperationRequest, self._get),
            Rpc("ListOperations", operations_pb2.ListOperationsRequest, self._list),
            Rpc("CancelOperation", operations_pb2.CancelOperationRequest, self._cancel),
            Rpc("DeleteOperation", operations_pb2.DeleteOperationRequest, self._delete),
            Rpc("WaitOperation", operations_pb2.WaitOperationRequest, self._wait),
        ]

    def _new(self, name: str, metadata: Any) -> Any:
        operation = operations_pb2.Operation(name=name or str(uuid.uuid4().int % 10**19))
        if metadata is not None:
            operation.metadata.Pack(metadata)
        self._operations[operation.name] = operation
        for old in list(itertools.islice(self._operations, max(0, len(self._operations) - _MOST))):
            self._forget(old)
        return operation

    async def _work(self, operation: Any, work: Coroutine[Any, Any, Any], metadata: Any) -> None:
        try:
            response = await work
            if metadata is not None:
                for field in metadata.DESCRIPTOR.fields:
                    if field.name in ("progress_percent", "progress_percentage"):
                        setattr(metadata, field.name, 100)
                operation.metadata.Pack(metadata)
            operation.response.Pack(response)
        except RequestError as error:
            operation.error.code = code_pb2.Code.Value(error.code.name)
            operation.error.message = error.text
        except MindError as error:
            operation.error.code = code_pb2.INVALID_ARGUMENT
            operation.error.message = str(error)
        except asyncio.CancelledError:
            operation.error.code = code_pb2.CANCELLED
            operation.error.message = "The operation was cancelled."
        except Exception:
            logger.exception("A long-running operation of the emulator failed")
            operation.error.code = code_pb2.INTERNAL
            operation.error.message = "Internal error encountered."
        operation.done = True
        self._tasks.pop(operation.name, None)

    def _forget(self, name: str) -> None:
        self._operations.pop(name, None)
        if task := self._tasks.pop(name, None):
            task.cancel()

    async def _find(self, name: str, context: Any) -> Any:
        # Over HTTP v1 names are given as `operations/NAME`.
        found = self._operations.get(name) or self._operations.get(name.removeprefix("operations/"))
        if found is None:
            await abort(context, grpc.StatusCode.NOT_FOUND, f'Operation "{name}" not found.')
        return found

    async def _get(self, request: Any, context: Any) -> Any:
        return await self._find(request.name, context)

    async def _list(self, request: Any, context: Any) -> Any:
        prefix = request.name.rstrip("/")
        found = [item for name, item in self._operations.items() if name.startswith(prefix) or "/" not in name]
        return operations_pb2.ListOperationsResponse(operations=found)

    async def _cancel(self, request: Any, context: Any) -> Any:
        operation = await self._find(request.name, context)
        if task := self._tasks.get(operation.name):
            task.cancel()
        return empty_pb2.Empty()

    async def _delete(self, request: Any, context: Any) -> Any:
        self._forget((await self._find(request.name, context)).name)
        return empty_pb2.Empty()

    async def _wait(self, request: Any, context: Any) -> Any:
        operation = await self._find(request.name, context)
        if task := self._tasks.get(operation.name):
            await asyncio.wait([task], timeout=request.timeout.seconds or None)
        return operation
