"""Google's REST transports: JSON over HTTP, led to the same methods as gRPC (google.api.http annotations, as data)."""

import re
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from google.protobuf import json_format
from starlette.responses import JSONResponse, Response

from halfcascade.emulator.rpc import Interfaces
from halfcascade.emulator.web.app import Call, Route
from halfcascade.emulator.web.errors import from_grpc, invalid, not_found

_SPEECH, _TTS = "google.cloud.speech.{version}.Speech", "google.cloud.texttospeech.{version}.TextToSpeech"
_ADAPTATION = "google.cloud.speech.{version}.Adaptation"
_OPERATIONS, _LOCATIONS = "google.longrunning.Operations", "google.cloud.location.Locations"
_PLACE = r"projects/[^/]+/locations/[^/]+"
_WHOLE = "*"


@dataclass(frozen=True)
class Binding:
    """One way to call a method over HTTP.

    Parameters:
        http: HTTP method.
        path: Regular expression of the path; its groups are fields of the request, ``__`` for a dot in their names.
        method: gRPC path, with ``{version}`` from the path.
        body: Which field the body is; ``*`` = the whole request, "" = there is none.
    """

    http: str
    path: str
    method: str
    body: str = ""


def _stored(kind: str, field: str, collection: str) -> list[Binding]:
    plural = f"{kind}es" if kind.endswith("s") else f"{kind}s"
    parent, name = rf"(?P<parent>{_PLACE})/{collection}", rf"(?P<name>{_PLACE}/{collection}/[^/:]+)"
    changed = name.replace("name", f"{field}__name", 1)
    return [
        Binding("POST", rf"(?P<version>v2)/{parent}", f"{_SPEECH}/Create{kind}", field),
        Binding("GET", rf"(?P<version>v2)/{parent}", f"{_SPEECH}/List{plural}"),
        Binding("GET", rf"(?P<version>v2)/{name}", f"{_SPEECH}/Get{kind}"),
        Binding("PATCH", rf"(?P<version>v2)/{changed}", f"{_SPEECH}/Update{kind}", field),
        Binding("DELETE", rf"(?P<version>v2)/{name}", f"{_SPEECH}/Delete{kind}"),
        Binding("POST", rf"(?P<version>v2)/{name}:undelete", f"{_SPEECH}/Undelete{kind}", _WHOLE),
    ]


def _stored_v1(kind: str, field: str, collection: str, listing: str) -> list[Binding]:
    version = r"(?P<version>v1|v1p1beta1)"
    parent, name = rf"(?P<parent>{_PLACE})/{collection}", rf"(?P<name>{_PLACE}/{collection}/[^/:]+)"
    changed = name.replace("name", f"{field}__name", 1)
    return [
        Binding("POST", rf"{version}/{parent}", f"{_ADAPTATION}/Create{kind}", _WHOLE),
        Binding("GET", rf"{version}/{parent}", f"{_ADAPTATION}/{listing}"),
        Binding("GET", rf"{version}/{name}", f"{_ADAPTATION}/Get{kind}"),
        Binding("PATCH", rf"{version}/{changed}", f"{_ADAPTATION}/Update{kind}", field),
        Binding("DELETE", rf"{version}/{name}", f"{_ADAPTATION}/Delete{kind}"),
    ]


BINDINGS: tuple[Binding, ...] = (
    Binding("POST", r"(?P<version>v1|v1p1beta1)/speech:recognize", f"{_SPEECH}/Recognize", _WHOLE),
    Binding(
        "POST", r"(?P<version>v1|v1p1beta1)/speech:longrunningrecognize", f"{_SPEECH}/LongRunningRecognize", _WHOLE
    ),
    Binding("GET", r"v1(?:p1beta1)?/operations/(?P<name>[^/]+)", f"{_OPERATIONS}/GetOperation"),
    Binding("GET", r"v1(?:p1beta1)?/operations", f"{_OPERATIONS}/ListOperations"),
    Binding(
        "POST",
        rf"(?P<version>v[2-9]\w*)/(?P<recognizer>{_PLACE}/recognizers/[^/:]+):recognize",
        f"{_SPEECH}/Recognize",
        _WHOLE,
    ),
    Binding(
        "POST",
        rf"(?P<version>v[2-9]\w*)/(?P<recognizer>{_PLACE}/recognizers/[^/:]+):batchRecognize",
        f"{_SPEECH}/BatchRecognize",
        _WHOLE,
    ),
    *_stored("Recognizer", "recognizer", "recognizers"),
    *_stored("CustomClass", "custom_class", "customClasses"),
    *_stored("PhraseSet", "phrase_set", "phraseSets"),
    *_stored_v1("PhraseSet", "phrase_set", "phraseSets", "ListPhraseSet"),
    *_stored_v1("CustomClass", "custom_class", "customClasses", "ListCustomClasses"),
    Binding("GET", rf"(?P<version>v2)/(?P<name>{_PLACE}/config)", f"{_SPEECH}/GetConfig"),
    Binding("GET", rf"v\d\w*/(?P<name>{_PLACE}/operations/[^/:]+)", f"{_OPERATIONS}/GetOperation"),
    Binding("GET", rf"v\d\w*/(?P<name>{_PLACE})/operations", f"{_OPERATIONS}/ListOperations"),
    Binding("DELETE", rf"v\d\w*/(?P<name>{_PLACE}/operations/[^/:]+)", f"{_OPERATIONS}/DeleteOperation"),
    Binding("POST", rf"v\d\w*/(?P<name>{_PLACE}/operations/[^/:]+):cancel", f"{_OPERATIONS}/CancelOperation", _WHOLE),
    Binding("GET", r"v2/(?P<name>projects/[^/]+)/locations", f"{_LOCATIONS}/ListLocations"),
    Binding("GET", rf"v2/(?P<name>{_PLACE})", f"{_LOCATIONS}/GetLocation"),
    Binding("GET", r"(?P<version>v1\w*)/voices", f"{_TTS}/ListVoices"),
    Binding("POST", r"(?P<version>v1\w*)/text:synthesize", f"{_TTS}/SynthesizeSpeech", _WHOLE),
    Binding(
        "POST",
        rf"(?P<version>v1\w*)/(?P<parent>{_PLACE}):synthesizeLongAudio",
        f"{_TTS}LongAudioSynthesize/SynthesizeLongAudio",
        _WHOLE,
    ),
)


class _Context:
    """What a method sees of a call over HTTP."""

    async def abort(self, code: grpc.StatusCode, text: str) -> NoReturn:
        raise from_grpc(code, text)


class Rest:
    """Answers the REST transports.

    Parameters:
        interfaces: The methods.
    """

    def __init__(self, interfaces: Interfaces) -> None:
        self._interfaces = interfaces

    def routes(self) -> list[Route]:
        """List what is answered."""
        return [Route(binding.http, binding.path, self._handler(binding)) for binding in BINDINGS]

    def _handler(self, binding: Binding) -> Any:
        async def handle(call: Call) -> Response:
            groups = dict(call.groups)
            rpc = self._interfaces.find("/" + binding.method.format(version=groups.pop("version", "")))
            if rpc is None:
                raise not_found()
            request = rpc.request()
            body = await call.json() if binding.body else {}
            target = request if binding.body in ("", _WHOLE) else getattr(request, binding.body)
            _parse(body, target)
            _parse(_query_fields(call, request), request)
            for name, value in groups.items():
                _set(request, name.split("__"), value)
            response = await rpc.handler(request, _Context())
            return JSONResponse(json_format.MessageToDict(response, use_integers_for_enums=_as_integers(call)))

        return handle


def _parse(value: Any, message: Any) -> None:
    try:
        json_format.ParseDict(value, message)
    except (json_format.ParseError, TypeError, ValueError, RecursionError) as error:
        text = re.sub(r"^Failed to parse \w+ field: ", "", str(error))
        raise invalid(f"Invalid JSON payload received. {text}"[:500]) from error


def _query_fields(call: Call, request: Any) -> dict[str, Any]:
    """Read fields of the request out of the query, but for those of Google's front end (``key``, ``alt``, ``$...``)."""
    fields = {field.json_name: field.name for field in request.DESCRIPTOR.fields}
    known = {**fields, **{name: name for name in fields.values()}}
    return {known[name]: value for name, value in call.caller.query.items() if name in known and value != ""}


def _as_integers(call: Call) -> bool:
    """Tell whether enums are wanted as numbers, as Google's Python clients do."""
    asked = call.caller.query.get("$alt") or call.caller.query.get("alt") or ""
    return "enum-encoding=int" in asked


def _set(message: Any, path: list[str], value: str) -> None:
    *outer, last = path
    for name in outer:
        message = getattr(message, name)
    setattr(message, last, value)
