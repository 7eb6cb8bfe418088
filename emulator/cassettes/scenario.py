"""Cassettes as a scenario: what was said in them, for clients that do not repeat a recording message by message."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from halfcascade.emulator.cassettes.cassette import Cassette, read_folder


def scenario_of(folder: Path) -> dict[str, Any]:
    """Read what users and models said.

    Args:
        folder: Of cassettes.

    Returns:
        A scenario: utterances in the order in which they were recognized, and what was replied to each; what the model
        says to a text that nobody said then is its replies in order.

    Raises:
        EmulatorError: If there are no cassettes, or one cannot be read.
    """
    utterances: list[dict[str, Any]] = []
    replies: list[dict[str, Any]] = []
    for cassette in read_folder(folder):
        if ".speech." in cassette.path or "/speech:" in cassette.path:
            utterances += _recognized(cassette)
        elif "BidiGenerateContent" in cassette.path:
            heard, answers = _talk(cassette.events)
            utterances += heard
            replies += answers
        elif "enerateContent" in cassette.path:
            replies += _generated(cassette)
    return {"utterances": utterances, "replies": replies}


def _recognized(cassette: Cassette) -> list[dict[str, Any]]:
    found = []
    for message in cassette.messages("server"):
        for result in message.get("results", ()):
            alternatives = [item.get("transcript", "").strip() for item in result.get("alternatives", ())]
            final = result.get("isFinal", "streaming" not in cassette.path.lower())
            if final and alternatives and alternatives[0]:
                found.append(_utterance(alternatives[0], result.get("languageCode", ""), alternatives[1:]))
    return found


def _utterance(text: str, language: str = "", alternatives: Sequence[str] = ()) -> dict[str, Any]:
    return {"text": text, "language": language, "alternatives": list(alternatives)}


def _talk(events: Sequence[Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Read a Live session: what was heard of the user, and what was said to what."""
    heard: list[dict[str, Any]] = []
    replies: list[dict[str, Any]] = []
    asked, listened, said = "", "", ""
    result_of = ""
    for event in events:
        message = event.what.get("json")
        if not isinstance(message, dict):
            continue
        if event.side == "client":
            asked = _said_by_user(message) or asked
            result_of = _answered(message) or result_of
            continue
        content = message.get("serverContent") or {}
        listened += (content.get("inputTranscription") or {}).get("text", "")
        said += (content.get("outputTranscription") or {}).get("text", "")
        calls = (message.get("toolCall") or {}).get("functionCalls", ())
        if not calls and "turnComplete" not in content:
            continue
        if listened.strip():
            heard.append(_utterance(listened.strip()))
            asked, listened = listened.strip(), ""
        if said.strip() or calls:
            replies.append(_reply(asked, result_of, said, calls))
        result_of = said = ""
    return heard, replies


def _generated(cassette: Cassette) -> list[dict[str, Any]]:
    asked, result_of, said = "", "", ""
    calls: list[dict[str, Any]] = []
    for message in cassette.messages("client"):
        contents = message.get("contents", ())
        asked = _text(contents[-1:]) or asked
        result_of = next((name for content in contents[-1:] for name in _results(content)), "")
    for event in cassette.events:
        if event.side == "server" and event.is_message:
            for candidate in _candidates(event):
                parts = (candidate.get("content") or {}).get("parts", ())
                said += "".join(part.get("text", "") for part in parts if not part.get("thought"))
                calls += [part["functionCall"] for part in parts if "functionCall" in part]
    return [_reply(asked, result_of, said, calls)] if said.strip() or calls else []


def _candidates(event: Any) -> list[dict[str, Any]]:
    values = [event.what["json"]] if "json" in event.what else []
    for line in event.what.get("text", "").splitlines():
        if line.startswith("data: "):
            values.append(json.loads(line.removeprefix("data: ")))
    values = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return [candidate for value in values for candidate in value.get("candidates", ())]


def _reply(asked: str, result_of: str, said: str, calls: Sequence[dict[str, Any]]) -> dict[str, Any]:
    reply: dict[str, Any] = {"text": said.strip()} if said.strip() else {}
    if calls:
        reply["calls"] = [{"name": call.get("name", ""), "args": call.get("args", {})} for call in calls]
    if result_of:
        reply["result_of"] = result_of
    elif asked:
        reply["match"] = f"^\\s*{re.escape(asked.strip())}\\s*$"
    return reply


def _said_by_user(message: dict[str, Any]) -> str:
    content = message.get("clientContent") or message.get("client_content") or {}
    realtime = message.get("realtimeInput") or message.get("realtime_input") or {}
    turns = [turn for turn in content.get("turns", ()) if turn.get("role") != "model"]
    return str(realtime.get("text") or _text(turns[-1:]))


def _text(contents: Sequence[dict[str, Any]]) -> str:
    return "".join(part.get("text", "") for content in contents for part in content.get("parts", ())).strip()


def _results(content: dict[str, Any]) -> list[str]:
    return [part["functionResponse"].get("name", "") for part in content.get("parts", ()) if "functionResponse" in part]


def _answered(message: dict[str, Any]) -> str:
    responses = (message.get("toolResponse") or message.get("tool_response") or {}).get("functionResponses", ())
    return next((str(response.get("name", "")) for response in responses), "")
