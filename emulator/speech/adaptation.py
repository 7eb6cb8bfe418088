"""Speech adaptation: phrases, those that are stored too, with the classes in them; and the v1 API that stores."""

import importlib
import re
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import empty_pb2

from halfcascade.emulator.actions import RequestError, invalid
from halfcascade.emulator.call import UnaryCalls
from halfcascade.emulator.rpc import Rpc
from halfcascade.emulator.speech.stored import check_free, fill_page

_CLASS = re.compile(r"\$\{([^}]+)\}")
_ID = re.compile(r"[A-Za-z][\w-]{0,62}")
Find = Callable[[str], Any]


def spelled_v2(config: Any, find_set: Find, find_class: Find) -> Any:
    """Give a v2 config whose phrases stand in it, those of classes spelled out.

    Args:
        config: ``RecognitionConfig`` protobuf.
        find_set: Finds a stored ``PhraseSet``.
        find_class: Finds a stored ``CustomClass``.

    Raises:
        RequestError: If something that is named is not there.
    """
    if not config.HasField("adaptation"):
        return config
    adaptation = config.adaptation
    classes = {item.name: item for item in adaptation.custom_classes}
    sets = [
        find_set(entry.phrase_set) if entry.phrase_set else entry.inline_phrase_set for entry in adaptation.phrase_sets
    ]
    spelled = _without_adaptation(config)
    hints = spelled.adaptation.phrase_sets.add().inline_phrase_set
    for phrase in _spelled_out(sets, classes, find_class):
        hints.phrases.add(value=phrase)
    return spelled


def spelled_v1(config: Any, find_set: Find, find_class: Find) -> Any:
    """Do the same to a config of v1 or v1p1beta1; see ``spelled_v2``."""
    if not config.HasField("adaptation"):
        return config
    adaptation = config.adaptation
    classes = {item.custom_class_id or item.name: item for item in adaptation.custom_classes}
    sets = [*adaptation.phrase_sets, *map(find_set, adaptation.phrase_set_references)]
    spelled = _without_adaptation(config)
    hints = spelled.adaptation.phrase_sets.add()
    for phrase in _spelled_out(sets, classes, find_class):
        hints.phrases.add(value=phrase)
    return spelled


def _without_adaptation(config: Any) -> Any:
    copy = type(config)()
    copy.CopyFrom(config)
    copy.ClearField("adaptation")
    return copy


def _spelled_out(sets: Iterable[Any], classes: Mapping[str, Any], find_class: Find) -> list[str]:
    return [
        reading
        for phrase_set in sets
        for phrase in phrase_set.phrases
        for reading in _readings(phrase.value, classes, find_class)
    ]


def _readings(phrase: str, classes: Mapping[str, Any], find_class: Find) -> Iterator[str]:
    match = _CLASS.search(phrase)
    if match is None:
        yield phrase
        return
    name = match[1]
    if "/" not in name and name not in classes:
        # Google's own classes, such as $TIME or ${OOV_CLASS_DIGIT_SEQUENCE}, stand for what nobody can list.
        yield phrase[: match.start()] + phrase[match.end() :]
        return
    for item in (classes.get(name) or find_class(name)).items:
        for rest in _readings(phrase[match.end() :], classes, find_class):
            yield f"{phrase[: match.start()]}{item.value}{rest}"


@dataclass(frozen=True)
class _Kind:
    """What Google calls one kind of resource: its message, its field in requests, its folder in names, its listing."""

    name: str
    field: str
    collection: str
    listing: str


class AdaptationV1:
    """``Adaptation`` of v1 and v1p1beta1: phrase sets and custom classes, which both versions share.

    Parameters:
        unary: Surrounds calls.
    """

    def __init__(self, unary: UnaryCalls) -> None:
        self._unary = unary
        # Serialized: the versions' messages are alike, but not of one class.
        self._stored: dict[str, bytes] = {}

    def finder(self, version: str, kind: str) -> Find:
        """Give what finds a stored resource.

        Args:
            version: Whose messages.
            kind: ``PhraseSet`` or ``CustomClass``.
        """
        message = getattr(importlib.import_module(f"google.cloud.speech_{version}.types"), kind).pb()

        def find(name: str) -> Any:
            if name not in self._stored:
                raise RequestError(grpc.StatusCode.NOT_FOUND, f"Unable to find {kind} {name}.")
            return message.FromString(self._stored[name])

        return find

    def rpcs(self, version: str) -> Sequence[Rpc]:
        """Give the methods of a version."""
        return [
            *self._rpcs(version, _Kind("PhraseSet", "phrase_set", "phraseSets", "ListPhraseSet")),
            *self._rpcs(version, _Kind("CustomClass", "custom_class", "customClasses", "ListCustomClasses")),
        ]

    def _rpcs(self, version: str, kind: _Kind) -> list[Rpc]:
        types = importlib.import_module(f"google.cloud.speech_{version}.types")
        resources = _Resources(kind, self._stored, self.finder(version, kind.name))

        def surrounded(name: str, work: Callable[[Any], Any]) -> Rpc:
            async def answer(request: Any, context: Any) -> Any:
                async with self._unary.call(context, name):
                    return work(request)

            return Rpc(name, getattr(types, f"{name}Request").pb(), answer)

        listed = getattr(types, f"{kind.listing}Response").pb()
        rows = [
            (f"Create{kind.name}", resources.create),
            (f"Get{kind.name}", resources.get),
            (f"Update{kind.name}", resources.update),
            (f"Delete{kind.name}", resources.delete),
            (kind.listing, lambda request: resources.page(request, listed())),
        ]
        return [surrounded(name, work) for name, work in rows]


class _Resources:
    """The resources of one kind, as requests of one version create, read, change and delete them."""

    def __init__(self, kind: _Kind, stored: dict[str, bytes], find: Find):
        self._kind = kind
        self._stored = stored
        self._find = find

    def create(self, request: Any) -> Any:
        identity = getattr(request, f"{self._kind.field}_id") or f"r{uuid.uuid4().hex[:16]}"
        if not _ID.fullmatch(identity):
            raise invalid(f"Invalid {self._kind.field} id {identity!r}: use letters, digits and dashes.")
        name = f"{request.parent}/{self._kind.collection}/{identity}"
        check_free(self._stored, self._kind.name, name)
        created = getattr(request, self._kind.field)
        created.name = name
        return self._store(created)

    def get(self, request: Any) -> Any:
        return self._find(request.name)

    def update(self, request: Any) -> Any:
        wanted = getattr(request, self._kind.field)
        found = self._find(wanted.name)
        paths = list(request.update_mask.paths) or [item.name for item, _ in wanted.ListFields()]
        for path in paths:
            if path not in found.DESCRIPTOR.fields_by_name:
                raise invalid(f"Invalid field mask: {self._kind.name} has no field {path!r}.")
            found.ClearField(path)
        found.MergeFrom(_only(wanted, paths))
        found.name = wanted.name
        return self._store(found)

    def delete(self, request: Any) -> Any:
        self._find(request.name)
        del self._stored[request.name]
        return empty_pb2.Empty()

    def page(self, request: Any, response: Any) -> Any:
        """Fill a response with what one page of a listing holds."""
        prefix = f"{request.parent}/{self._kind.collection}/"
        names = [name for name in self._stored if name.startswith(prefix)]
        return fill_page(request, response, names, self._find)

    def _store(self, resource: Any) -> Any:
        self._stored[resource.name] = resource.SerializeToString()
        return resource


def _only(message: Any, fields: Collection[str]) -> Any:
    """Copy a message with some of its fields."""
    part = type(message)()
    part.CopyFrom(message)
    for item, _ in message.ListFields():
        if item.name not in fields:
            part.ClearField(item.name)
    return part
