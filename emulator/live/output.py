"""What a connection sends, and how serverContent fields are packed into messages (facts/live#server-messages)."""

import random
from collections.abc import Callable
from typing import Any

from halfcascade.emulator.live.actions import Action, Close, Send
from halfcascade.emulator.live.faults import FaultScript, Framing


class Output:
    """Collects actions in order and packs content."""

    def __init__(self, script: FaultScript) -> None:
        """Begin with nothing to do.

        Args:
            script: Says how content is packed.
        """
        self._script = script
        self._actions: list[Action] = []
        self.closed = False
        self.muted = False
        self.packs = False
        """Whether the model packs different fields that are due together, as 3.x does (facts/live#server-messages)."""

    def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        if not self.closed and not self.muted:
            self._actions.append(Send(message))

    def content(self, fields: dict[str, Any], **beside: Any) -> None:
        """Send serverContent fields.

        Args:
            fields: Of ``serverContent``.
            beside: Fields of the message around it, such as ``usageMetadata``.
        """
        self.send({"serverContent": fields, **beside})

    def do(self, action: Action) -> None:
        """Ask for something else than a message."""
        if not self.closed:
            self._actions.append(action)

    def close(self, code: int | None, reason: str = "") -> None:
        """Ask for the end of the connection; nothing follows it."""
        self.do(Close(code, reason))
        self.closed = True

    def take(self) -> list[Action]:
        """Take what is to be done, packed."""
        actions, self._actions = self._actions, []
        framing = self._script.faults.framing
        packed: list[Action] = []
        for action in actions:
            for piece in self._split(action, framing):
                last = packed[-1] if packed else None
                if (
                    isinstance(last, Send)
                    and isinstance(piece, Send)
                    and self._joins(last.message, piece.message, framing)
                ):
                    packed[-1] = Send(_join(last.message, piece.message))
                else:
                    packed.append(piece)
        return packed

    def _split(self, action: Action, framing: Framing) -> list[Action]:
        if framing not in ("split", "random") or not isinstance(action, Send):
            return [action]
        text, rewrite = _text_of(action.message.get("serverContent", {}))
        if len(text) < 2 or (framing == "random" and self._random.random() < 0.5):
            return [action]
        cut = self._random.randrange(1, len(text))
        first, second = (Send({"serverContent": rewrite(half)}) for half in (text[:cut], text[cut:]))
        return [first, Send({"serverContent": {}}), second]

    def _joins(self, before: dict[str, Any], after: dict[str, Any], framing: Framing) -> bool:
        first, second = before.get("serverContent"), after.get("serverContent")
        # An empty frame stays one, an interruption starts its own message, and nothing follows the end of a turn.
        if not first or not second or "interrupted" in second or "turnComplete" in first:
            return False
        if framing == "bundle" or (framing == "random" and self._random.random() < 0.5):
            return "interrupted" not in first or set(second) <= {"turnComplete", "interactionStatus"}
        return (
            framing == "plain"
            and self.packs
            and {*first, *second} <= {"modelTurn", "outputTranscription"}
            and not {*first} & {*second}
        )

    @property
    def _random(self) -> random.Random:
        return self._script.random


def _text_of(content: dict[str, Any]) -> tuple[str, Callable[[str], dict[str, Any]]]:
    """Find the one text that is all of a content, and how to write another in its place."""
    match content:
        case {"outputTranscription": {"text": str(text)}} if len(content) == 1:
            return text, lambda other: {"outputTranscription": {"text": other}}
        case {"modelTurn": {"parts": [{"text": str(text), **rest}], **turn}} if len(content) == 1 and not rest:
            return text, lambda other: {"modelTurn": {**turn, "parts": [{"text": other}]}}
    return "", lambda _: content


def _join(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    first, second = before["serverContent"], after["serverContent"]
    joined = {**first, **second}
    if "modelTurn" in first and "modelTurn" in second:
        joined["modelTurn"] = {"parts": first["modelTurn"]["parts"] + second["modelTurn"]["parts"]}
    if "outputTranscription" in first and "outputTranscription" in second:
        joined["outputTranscription"] = {
            "text": first["outputTranscription"]["text"] + second["outputTranscription"]["text"]
        }
    return {**before, **after, "serverContent": joined}
