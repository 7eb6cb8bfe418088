"""A machine on a hand-moved clock, with what it sent and asked for."""

import base64
import json
from typing import Any

from halfcascade.emulator.live.actions import Close, Hush, Listen, Send, StopThinking, Think
from halfcascade.emulator.live.faults import FaultScript, LiveFaults
from halfcascade.emulator.live.machine import Limits, LiveMachine
from halfcascade.emulator.live.session import SessionStore
from halfcascade.emulator.live.voice import Voice
from halfcascade.emulator.minds.base import Conversation, FunctionCall, Hypothesis
from halfcascade.emulator.profiles import ThinkerProfile

MODEL = "gemini-3.8-live"


class Bench:
    """Connections of one server, driven message by message."""

    def __init__(
        self, profile: ThinkerProfile | None = None, faults: LiveFaults | None = None, limits: Limits | None = None
    ) -> None:
        self.profile = profile or ThinkerProfile()
        self.script = FaultScript(faults)
        self.store = SessionStore()
        self.limits = limits
        self.now = 0.0
        self.voice: Voice | None = None

    def connect(self, **options: Any) -> "Client":
        return Client(self, **options)

    def open(self, model: str = MODEL, **setup: Any) -> "Client":
        """Connect and set up."""
        options = {key: setup.pop(key) for key in ("surface", "version") if key in setup}
        client = self.connect(**options)
        prefix = "projects/p/locations/l/publishers/google/models/" if options.get("surface") == "vertex" else "models/"
        client.send(setup={"model": prefix + model, "outputAudioTranscription": {}, **setup})
        return client


class Client:
    """One connection."""

    def __init__(self, bench: Bench, surface: Any = "developer", version: str = "v1beta") -> None:
        self.bench = bench
        self.machine = LiveMachine(
            bench.store,
            bench.profile,
            bench.script,
            surface=surface,
            version=version,
            limits=bench.limits,
            voice=bench.voice,
        )
        self.sent: list[tuple[float, dict[str, Any]]] = []
        self.thinks: list[Think] = []
        self.listens: list[Listen] = []
        self.hushed: list[int] = []
        self.stopped: list[int] = []
        self.close: Close | None = None
        # What the history was when a handle was given out.
        self.known: dict[str, list[tuple[str, str]]] = {}
        self._read = 0

    # What goes in

    def send(self, **message: Any) -> None:
        self.raw(json.dumps(message))

    def raw(self, data: str | bytes) -> None:
        self.machine.receive(data, self.bench.now)
        self._take()

    def say(self, text: str, *, complete: bool = True, role: str = "user") -> None:
        self.send(client_content={"turns": [{"role": role, "parts": [{"text": text}]}], "turn_complete": complete})

    def microphone(self, pcm: bytes, words: str, *, end: bool = True) -> None:
        """Speak into the microphone, and be understood."""
        data = base64.b64encode(pcm).decode()
        self.send(realtimeInput={"audio": {"data": data, "mimeType": "audio/pcm;rate=16000"}})
        if not end:
            return
        stream = self.hushed[-1]
        self.machine.heard(stream, Hypothesis(words, is_final=True, start=0.0, end=1.0), self.bench.now)
        self.machine.heard_all(stream, self.bench.now)
        self._take()

    def think(self, *pieces: str | FunctionCall, end: bool = True) -> None:
        """Let the newest generation say something."""
        reply = self.thinks[-1].reply
        for piece in pieces:
            self.machine.thought(reply, piece, self.bench.now)
        if end:
            self.machine.thought_all(reply, self.bench.now)
        self._take()

    def wait(self, seconds: float) -> None:
        """Move the clock, stopping wherever something is due."""
        until = self.bench.now + seconds
        while (due := self.machine.next_at) is not None and due <= until:
            self.bench.now = max(self.bench.now, due)
            self.machine.advance(self.bench.now)
            self._take()
        self.bench.now = until
        self.machine.advance(until)
        self._take()

    def hang_up(self) -> None:
        self.machine.disconnected(self.bench.now)

    # What comes out

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [message for _, message in self.sent]

    def news(self) -> list[dict[str, Any]]:
        """What was sent since the last call."""
        read, self._read = self._read, len(self.sent)
        return self.messages[read:]

    def contents(self) -> list[dict[str, Any]]:
        return [message["serverContent"] for message in self.messages if message.get("serverContent")]

    def transcript(self) -> str:
        return "".join(
            content["outputTranscription"]["text"] for content in self.contents() if "outputTranscription" in content
        )

    def events(self) -> list[str]:
        """Everything but audio, in order, one word each."""
        words = []
        for message in self.messages:
            for key, value in message.items():
                if key == "serverContent":
                    words += [name for name in value if name != "modelTurn"]
                elif key == "sessionResumptionUpdate":
                    words.append("resumable" if value.get("resumable") else "not resumable")
                elif key != "usageMetadata":
                    words.append(key)
        return words

    def at(self, field: str) -> list[float]:
        """When a serverContent field was sent."""
        return [at for at, message in self.sent if field in message.get("serverContent", {})]

    def handle(self) -> str:
        """The newest handle."""
        updates = [
            message["sessionResumptionUpdate"] for message in self.messages if "sessionResumptionUpdate" in message
        ]
        return next(update["newHandle"] for update in reversed(updates) if update.get("resumable"))

    def usage(self) -> dict[str, Any]:
        found: dict[str, Any] = next(m["usageMetadata"] for m in reversed(self.messages) if "usageMetadata" in m)
        return found

    def history(self) -> list[tuple[str, str]]:
        assert self.machine.session is not None
        return [(message.role, message.text) for message in self.machine.session.messages]

    def _take(self) -> None:
        for action in self.machine.take_actions():
            assert self.close is None, f"{action} after the close"
            match action:
                case Send():
                    self.sent.append((self.bench.now, action.message))
                    if handle := action.message.get("sessionResumptionUpdate", {}).get("newHandle"):
                        self.known[handle] = self.history()
                case Listen():
                    self.listens.append(action)
                case Hush():
                    self.hushed.append(action.stream)
                case Think():
                    self.thinks.append(action)
                case StopThinking():
                    self.stopped.append(action.reply)
                case Close():
                    self.close = action


def model_texts(conversation: Conversation) -> list[str]:
    """Give what the model has said so far, as the server's history holds it."""
    return [message.text for message in conversation.messages if message.role == "model" and message.text]
