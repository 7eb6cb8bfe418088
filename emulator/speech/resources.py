"""What Speech-to-Text v2 stores: recognizers, custom classes and phrase sets."""

import re
import uuid
from collections.abc import Sequence
from typing import Any

import grpc
from google.cloud.speech_v2.types import cloud_speech
from google.protobuf.field_mask_pb2 import FieldMask

from halfcascade.emulator.actions import RequestError, invalid
from halfcascade.emulator.call import UnaryCalls
from halfcascade.emulator.operations import Operations
from halfcascade.emulator.rpc import Rpc
from halfcascade.emulator.speech.stored import check_free, fill_page

_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PARENT = re.compile(r"projects/[^/]+/locations/[^/]+")


class Resources:
    """Resources of one kind.

    Parameters:
        kind: Such as ``Recognizer``.
        field: Its name in requests, such as ``recognizer``.
        collection: Its part of resource names, such as ``recognizers``.
        operations: Where changes become operations.
        unary: Surrounds calls.
    """

    def __init__(self, kind: str, field: str, collection: str, operations: Operations, unary: UnaryCalls) -> None:
        self._kind, self._field, self._collection = kind, field, collection
        self._operations = operations
        self._unary = unary
        self._stored: dict[str, Any] = {}
        self._message: Any = getattr(cloud_speech, kind).pb()

    def rpcs(self) -> Sequence[Rpc]:
        """Give the methods."""
        kind, plural = self._kind, f"{self._kind}es" if self._kind.endswith("s") else f"{self._kind}s"
        rows = [
            (f"Create{kind}", self._create),
            (f"Get{kind}", self._get),
            (f"List{plural}", self._list),
            (f"Update{kind}", self._update),
            (f"Delete{kind}", self._delete),
            (f"Undelete{kind}", self._undelete),
        ]
        return [
            Rpc(name, getattr(cloud_speech, f"{name}Request").pb(), self._surround(name, work)) for name, work in rows
        ]

    def find(self, name: str) -> Any:
        """Find a resource.

        Raises:
            RequestError: If there is none of that name.
        """
        found = self._stored.get(name)
        if found is None or found.state == self._message.State.Value("DELETED"):
            raise RequestError(grpc.StatusCode.NOT_FOUND, f"Unable to find {self._kind} {name}.")
        return found

    def _surround(self, name: str, work: Any) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            async with self._unary.call(context, name):
                return work(request)

        return answer

    def _create(self, request: Any) -> Any:
        identity = getattr(request, f"{self._field}_id") or f"r{uuid.uuid4().hex[:16]}"
        if not _PARENT.fullmatch(request.parent):
            raise invalid("Invalid resource field value in the request: parent.")
        if not _ID.fullmatch(identity):
            raise invalid(f"Invalid {self._field} id {identity!r}: use lower-case letters, digits and dashes.")
        name = f"{request.parent}/{self._collection}/{identity}"
        check_free(self._stored, self._kind, name)
        created = self._message()
        created.CopyFrom(getattr(request, self._field))
        created.name, created.uid = name, str(uuid.uuid4())
        created.state = self._message.State.Value("ACTIVE")
        created.create_time.GetCurrentTime()
        created.update_time.CopyFrom(created.create_time)
        created.etag = uuid.uuid4().hex
        if not request.validate_only:
            self._stored[name] = created
        return self._changed(request, "create", created)

    def _get(self, request: Any) -> Any:
        return self.find(request.name)

    def _list(self, request: Any) -> Any:
        prefix = f"{request.parent}/{self._collection}/"
        gone = self._message.State.Value("DELETED")
        found = [
            item
            for name, item in self._stored.items()
            if name.startswith(prefix) and (request.show_deleted or item.state != gone)
        ]
        name = "PhraseSets" if self._kind == "PhraseSet" else f"{self._kind}{'es' if self._kind.endswith('s') else 's'}"
        response = getattr(cloud_speech, f"List{name}Response").pb()()
        return fill_page(request, response, found)

    def _update(self, request: Any) -> Any:
        wanted = getattr(request, self._field)
        found = self.find(wanted.name)
        paths = list(request.update_mask.paths) or [
            field.name for field, _ in wanted.ListFields() if field.name != "name"
        ]
        if paths == ["*"]:
            paths = [field.name for field in wanted.DESCRIPTOR.fields if field.name not in ("name", "uid", "state")]
        merge(found, wanted, paths)
        found.update_time.GetCurrentTime()
        found.etag = uuid.uuid4().hex
        return self._changed(request, "update", found)

    def _delete(self, request: Any) -> Any:
        if request.allow_missing and request.name not in self._stored:
            return self._changed(request, "delete", self._message(name=request.name))
        found = self.find(request.name)
        found.state = self._message.State.Value("DELETED")
        found.delete_time.GetCurrentTime()
        return self._changed(request, "delete", found)

    def _undelete(self, request: Any) -> Any:
        found = self._stored.get(request.name)
        if found is None:
            raise RequestError(grpc.StatusCode.NOT_FOUND, f"Unable to find {self._kind} {request.name}.")
        found.state = self._message.State.Value("ACTIVE")
        found.ClearField("delete_time")
        return self._changed(request, "undelete", found)

    def _changed(self, request: Any, verb: str, resource: Any) -> Any:
        parent = "/".join(resource.name.split("/")[:4])
        metadata = cloud_speech.OperationMetadata.pb()(resource=resource.name, progress_percent=100)
        getattr(metadata, f"{verb}_{self._field}_request").CopyFrom(request)
        metadata.method = f"google.cloud.speech.v2.Speech.{verb.title()}{self._kind}"
        return self._operations.done(f"{parent}/operations/{uuid.uuid4().hex}", resource, metadata)


def effective_config(stored: Any, config: Any, mask: FieldMask) -> Any:
    """Give the config that holds for a request to a stored recognizer.

    Args:
        stored: ``Recognizer`` protobuf.
        config: ``RecognitionConfig`` of the request.
        mask: Which of its fields count; empty = those that are set.

    Returns:
        The recognizer's config with the request's fields over it.
    """
    merged = cloud_speech.RecognitionConfig.pb()()
    merged.CopyFrom(stored.default_recognition_config)
    merged.model = merged.model or stored.model
    if not merged.language_codes:
        merged.language_codes.extend(stored.language_codes)
    paths = list(mask.paths) or [field.name for field, _ in config.ListFields()]
    if paths == ["*"]:
        return config
    merge(merged, config, paths)
    return merged


def merge(target: Any, source: Any, paths: Sequence[str]) -> None:
    """Write some fields of a message over another's; lists are replaced, not lengthened.

    Args:
        target: Protobuf that is changed.
        source: Another of its kind.
        paths: Names of fields, ``outer.inner`` for those of nested messages.

    Raises:
        RequestError: If there is no such field.
    """
    try:
        FieldMask(paths=paths).MergeMessage(source, target, replace_message_field=True, replace_repeated_field=True)
    except ValueError as error:
        raise invalid(f"Invalid field mask: {error}.") from error
