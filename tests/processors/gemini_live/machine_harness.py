"""Drives the session machine with a clock of its own: no sockets, no sleeps."""

from collections.abc import Callable
from typing import Any

from google.genai import types

from halfcascade.processors.gemini_live.protocol.actions import (
    Action,
    Close,
    Open,
    SendContent,
    SendText,
)
from halfcascade.processors.gemini_live.protocol.models import Modality, lookup
from halfcascade.processors.gemini_live.protocol.options import SessionOptions
from halfcascade.processors.gemini_live.protocol.session import SessionMachine

OPTIONS = SessionOptions()
MODEL = lookup("gemini-3.8-live")


def server(**fields: Any) -> types.LiveServerMessage:
    return types.LiveServerMessage.model_validate(fields)


def says(text: str, **more: Any) -> types.LiveServerMessage:
    return server(serverContent={"outputTranscription": {"text": text}, **more})


COMPLETE = server(serverContent={"generationComplete": True})
CLOSED = server(serverContent={"turnComplete": True})
INTERRUPTED = server(serverContent={"interrupted": True})
AUDIO = server(serverContent={"modelTurn": {"parts": [{"inlineData": {"data": "AAAA"}}]}})


def handle(value: str) -> types.LiveServerMessage:
    return server(sessionResumptionUpdate={"newHandle": value, "resumable": True})


class Session:
    """A machine with a clock, whose connections open at once unless told otherwise."""

    def __init__(self, model: Any = MODEL, options: SessionOptions = OPTIONS, *, opens: bool = True) -> None:
        self.machine = SessionMachine(model, options)
        self.now = 1000.0
        self.opens = opens
        self.let_go = False
        self.done: list[Action] = []
        self.context: list[Any] = []
        self.turns = 0
        self.feed(self.machine.start)

    def feed(self, step: Callable[..., list[Action]], *args: Any, **kwargs: Any) -> list[Action]:
        actions = step(*args, self.now, **kwargs)
        for action in actions:
            self.done.append(action)
            if isinstance(action, Open) and self.opens:
                self.feed(self.machine.opened, action.serial, Modality.AUDIO)
            elif isinstance(action, Close):
                self.feed(self.machine.closed, action.serial, let_go=self.let_go or not action.mute)
        return actions

    def take(self, *messages: types.LiveServerMessage) -> None:
        for message in messages:
            self.now += 0.01
            self.feed(self.machine.message, self.machine.link.serial, message)

    def say(self, text: str, role: str = "user", **kwargs: Any) -> None:
        self.context.append({"role": role, "content": text})
        self.turns += 1
        turn = self.machine.history.take(self.context, self.turns, **kwargs)
        assert turn is not None
        self.feed(self.machine.submit, turn)

    def heard(self, text: str) -> None:
        self.context.append({"role": "assistant", "content": text})

    def answer(self, text: str) -> None:
        self.take(says(text), COMPLETE, CLOSED)
        self.heard(text)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        steps = 0
        while (due := self.machine.deadline(self.now)) is not None and due <= end:
            steps += 1
            assert steps < 1000, "the machine never comes to rest"
            self.now = max(self.now + 0.001, due)
            self.feed(self.machine.tick)
        self.now = end

    def of(self, kind: type) -> list[Any]:
        return [action for action in self.done if isinstance(action, kind)]

    def sent(self) -> list[str]:
        """Texts of everything written, as roles and parts."""
        written = []
        for action in self.done:
            if isinstance(action, SendContent):
                parts = [
                    (content.role, " ".join(str(part.text) for part in content.parts)) for content in action.contents
                ]
                written.append(" | ".join(f"{role}: {text}" for role, text in parts))
            elif isinstance(action, SendText):
                written.append(action.text)
        return written
