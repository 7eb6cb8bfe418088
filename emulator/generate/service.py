"""``generateContent``, ``streamGenerateContent``, ``countTokens``, models and ephemeral tokens over HTTP."""

import asyncio
import base64
import contextlib
import datetime
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast

from loguru import logger
from starlette.responses import JSONResponse, Response, StreamingResponse

from halfcascade.emulator.actions import RequestError
from halfcascade.emulator.faults import Faults
from halfcascade.emulator.generate.answer import Answer, prompt_tokens
from halfcascade.emulator.generate.models import TextModel, find_text_model, model_rows
from halfcascade.emulator.generate.request import GenerateRequest, parse_request
from halfcascade.emulator.live.ears import audio_file
from halfcascade.emulator.live.errors import Refusal
from halfcascade.emulator.live.tokens import TokenStore
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.base import (
    LISTENER_RATE,
    FunctionCall,
    Hypothesis,
    Mind,
    MindError,
    RecognitionRequest,
    SynthesisRequest,
)
from halfcascade.emulator.minds.scripted_thinker import last_user_text
from halfcascade.emulator.profiles import Profile
from halfcascade.emulator.web.app import Call, Route, as_array, as_events
from halfcascade.emulator.web.errors import NO_KEY, ApiError, bad_key, invalid, not_found, unsupported
from halfcascade.emulator.web.versions import find_version

_HOST = "generativelanguage.googleapis.com"
_DEFAULT_VOICE, _DEFAULT_LANGUAGE = "Kore", "en-US"


class GenerateService:
    """Gemini over HTTP, the Developer API's and Vertex's.

    Parameters:
        mind: What listens, thinks and speaks.
        profile: Latencies; the network's are applied here.
        tokens: The ephemeral tokens that Live accepts.
        faults: Faults of all APIs; those of ``generate`` happen here.
        log: Where to write down what happens.
        api_key: The one key that is accepted; None = any.
    """

    def __init__(
        self,
        mind: Mind,
        profile: Profile,
        tokens: TokenStore,
        *,
        faults: Faults,
        log: UsageLog,
        api_key: str | None = None,
    ) -> None:
        self.mind = mind
        self.profile = profile
        self._tokens = tokens
        self._faults = faults
        self._log = log
        self._api_key = api_key

    def routes(self) -> list[Route]:
        """List what is answered."""
        version = r"(?P<version>v\w+)"
        model = rf"{version}/models/(?P<model>[^/:]+)"
        tuned = rf"{version}/(?:projects/[^/]+/locations/[^/]+/)?publishers/google/models/(?P<model>[^/:]+)"
        return [
            Route("GET", rf"{version}/models", self._list_models),
            Route("GET", model, self._get_model),
            Route("GET", tuned, self._get_model),
            Route("POST", rf"{model}:(?P<method>\w+)", self._generate),
            Route("POST", rf"(?P<vertex>){tuned}:(?P<method>\w+)", self._generate),
            Route("POST", rf"{version}/auth_tokens", self._create_token),
            Route("GET POST DELETE", r"(?:upload/|download/)?v\w+/files.*", self._refuse_files),
            Route("GET POST PATCH DELETE", r"v\w+/(?:cachedContents|tunedModels|fileSearchStores|batches).*", _refuse),
        ]

    async def _list_models(self, call: Call) -> Response:
        self._check(call)
        return JSONResponse({"models": model_rows()})

    async def _get_model(self, call: Call) -> Response:
        self._check(call)
        name = f"models/{call.groups['model']}"
        row = next((row for row in model_rows() if row["name"] == name), None)
        if row is None and find_text_model(name) is None:
            raise self._no_model(call)
        return JSONResponse(row or {**model_rows()[-1], "name": name, "version": name, "displayName": name[7:]})

    async def _create_token(self, call: Call) -> Response:
        version = self._check(call)
        if not version.auth_tokens:
            raise not_found()
        now = asyncio.get_running_loop().time()
        try:
            return JSONResponse(self._tokens.create(await call.json(), now, datetime.datetime.now(datetime.UTC)))
        except ValueError as error:
            raise invalid(str(error)) from error

    async def _refuse_files(self, call: Call) -> Response:
        self._check(call)
        raise unsupported("The emulator stores no files: send the bytes as inlineData.")

    async def _generate(self, call: Call) -> Response:
        self._check(call)
        model = find_text_model(call.groups["model"])
        if model is None:
            raise self._no_model(call)
        body = await call.json()
        method = call.groups["method"]
        if method == "countTokens":
            return JSONResponse(await self._count(body, model))
        if method not in ("generateContent", "streamGenerateContent"):
            raise unsupported(f"The emulator does not serve {method}.")
        request = parse_request(body, model.name, speaks=model.speaks)
        chunks = self._chunks(request, model)
        # Errors of the request come before the first chunk, with a status of their own.
        first = await anext(chunks)
        if method == "generateContent":
            return JSONResponse(_joined([first] + [chunk async for chunk in chunks]))
        everything = _prepend(first, chunks)
        if call.caller.query.get("alt") == "sse":
            return StreamingResponse(as_events(everything), media_type="text/event-stream")
        return StreamingResponse(as_array(everything), media_type="application/json")

    async def _count(self, body: dict[str, Any], model: TextModel) -> dict[str, Any]:
        inner = body.get("generateContentRequest") or body.get("generate_content_request") or body
        request = parse_request(inner, model.name, speaks=model.speaks)
        await self._understand(request)
        counts = {name: count for name, count in prompt_tokens(request).items() if count}
        details = [{"modality": name, "tokenCount": count} for name, count in counts.items()]
        return {"totalTokens": sum(counts.values()), "promptTokensDetails": details}

    async def _chunks(self, request: GenerateRequest, model: TextModel) -> AsyncGenerator[dict[str, Any], None]:
        number = self._log.open_stream()
        one_way = self.profile.network.one_way
        await asyncio.sleep(one_way)
        await self._fail_if_told(number)
        await self._understand(request)
        self._log.add("generate", number, "request", model=model.name, text=last_user_text(request.conversation))
        answer = Answer(request, model.name)
        try:
            chunks = self._spoken(request, answer) if model.speaks else self._written(request, answer)
            async with contextlib.aclosing(chunks) as sent:
                async for chunk in sent:
                    await asyncio.sleep(one_way)
                    yield chunk
        except MindError as error:
            raise invalid(str(error)) from error
        except ApiError:
            raise
        except Exception as error:
            logger.exception("The emulator's thinker failed")
            raise ApiError("INTERNAL", "Internal error encountered.") from error
        self._log.add("generate", number, "close")

    async def _written(self, request: GenerateRequest, answer: Answer) -> AsyncGenerator[dict[str, Any], None]:
        pieces = cast("AsyncGenerator[str | FunctionCall, None]", self.mind.thinker.think(request.conversation))
        whole = ""
        cut = False
        parts: list[dict[str, Any]] = []
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                if isinstance(piece, FunctionCall):
                    parts.append(answer.call(piece))
                    continue
                text, cut = answer.text(piece)
                whole += text
                if text and not request.json:
                    yield answer.chunk({"text": text})
                if cut:
                    break
        if request.json and whole:
            parts.insert(0, {"text": whole if _is_json(whole) else json.dumps(whole, ensure_ascii=False)})
        yield answer.chunk(*(parts or [{"text": ""}]), finish="MAX_TOKENS" if cut else "STOP")

    async def _spoken(self, request: GenerateRequest, answer: Answer) -> AsyncGenerator[dict[str, Any], None]:
        conversation = request.conversation
        language = conversation.language_code or _DEFAULT_LANGUAGE
        voice = f"{language}-Chirp3-HD-{request.voice or _DEFAULT_VOICE}"
        synthesis = self.mind.speaker.synthesize(SynthesisRequest(voice, language))
        try:
            await synthesis.text(last_user_text(conversation))
            await synthesis.finish()
            async for pcm in synthesis.audio():
                yield answer.chunk(answer.audio(pcm))
        finally:
            await synthesis.close()
        yield answer.chunk(finish="STOP")

    async def _understand(self, request: GenerateRequest) -> None:
        """Put words in the place of audio."""
        for message, place, blob in request.audio:
            try:
                pcm = audio_file(blob)
            except (Refusal, RequestError) as error:
                raise invalid(error.reason if isinstance(error, Refusal) else error.text) from error
            recognition = self.mind.listener.recognize(RecognitionRequest(["auto"], request.conversation.model))
            try:
                await recognition.audio(pcm)
                await recognition.finish()
                events = [event async for event in recognition.results()]
            finally:
                await recognition.close()
            message.parts[place] = " ".join(
                event.text for event in events if isinstance(event, Hypothesis) and event.is_final
            )
            message.seconds += len(pcm) / (2 * LISTENER_RATE)

    async def _fail_if_told(self, number: int) -> None:
        for fault in self._faults.take("generate"):
            self._log.add("generate", number, "fault", kind=fault.kind)
            if fault.kind == "stall":
                await asyncio.sleep(fault.seconds)
            elif fault.kind == "mute":
                await asyncio.Event().wait()
            else:
                raise ApiError(fault.code or "UNAVAILABLE", fault.message or "The model is overloaded.")

    def _check(self, call: Call) -> Any:
        """Check version and key, and give the version's row."""
        name = call.groups.get("version") or "v1"
        vertex = "vertex" in call.groups
        version = find_version("vertex" if vertex else "gemini", name)
        if version is None:
            raise not_found()
        if vertex and call.caller.bearer:
            return version
        if not call.caller.api_key:
            raise ApiError("PERMISSION_DENIED", NO_KEY)
        if self._api_key is not None and call.caller.api_key != self._api_key:
            raise bad_key(_HOST)
        return version

    def _no_model(self, call: Call) -> ApiError:
        name, version = call.groups["model"], call.groups["version"]
        return not_found(
            f"models/{name} is not found for API version {version}, or is not supported for generateContent. "
            "Call ListModels to see the list of available models and their supported methods."
        )


async def _refuse(call: Call) -> Response:
    raise unsupported("The emulator does not serve this resource.")


def _joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Join the chunks of an answer into one: neighbouring texts, and neighbouring audio, become one part."""
    parts: list[dict[str, Any]] = []
    for chunk in chunks:
        for part in chunk["candidates"][0]["content"]["parts"]:
            last = parts[-1] if parts else {}
            if "text" in part and "text" in last:
                last["text"] += part["text"]
            elif "inlineData" in part and "inlineData" in last:
                last["inlineData"]["data"] = _join_base64(last["inlineData"]["data"], part["inlineData"]["data"])
            else:
                parts.append(part)
    joined: dict[str, Any] = chunks[-1]
    joined["candidates"][0]["content"]["parts"] = [part for part in parts if part != {"text": ""}] or [{"text": ""}]
    return joined


def _join_base64(first: str, second: str) -> str:
    return base64.b64encode(base64.b64decode(first) + base64.b64decode(second)).decode()


async def _prepend(first: dict[str, Any], rest: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    yield first
    async for item in rest:
        yield item


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
