"""When a recorded server speaks, without I/O: it waits for what its client does, not for a time of day.

What the server did is done again once the client has done what it had done before it: as many messages, or, of audio,
as much of it, however it is cut. A client that ends what it sends gets all the rest.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from halfcascade.emulator.cassettes.cassette import Cassette, Event

# Fields that hold audio, in every API's JSON.
_AUDIO = ("audio", "audioContent", "audio_content", "mediaChunks", "media_chunks")


@dataclass(frozen=True)
class Due:
    """Something to do.

    Parameters:
        at: Clock reading.
        event: What the server did.
    """

    at: float
    event: Event


@dataclass(frozen=True)
class _Step:
    """One thing that the server did, and what it had waited for.

    Parameters:
        event: What it did.
        gap: Seconds after whatever came last before it.
        messages: How many messages other than audio the client had sent.
        audio: How many bytes of audio it had sent.
        ended: Whether it had ended.
    """

    event: Event
    gap: float
    messages: int
    audio: int
    ended: bool


class Playback:
    """One call that is answered from a cassette.

    Parameters:
        cassette: The call.
        speed: How much faster than then; 0 = at once.
    """

    def __init__(self, cassette: Cassette, speed: float = 1.0) -> None:
        self._steps = _steps(cassette)
        self._speed = speed
        self._messages = self._audio = 0
        self._ended = False
        self._last = 0.0

    @property
    def over(self) -> bool:
        """Whether everything has been done."""
        return not self._steps

    def receive(self, message: Any, now: float) -> list[Due]:
        """Take a client's message.

        Args:
            message: Parsed JSON, or bytes or text that is none.
            now: Clock reading in seconds.

        Returns:
            What becomes due by it, in order.
        """
        size = audio_bytes(message)
        if size:
            self._audio += size
        else:
            self._messages += 1
        return self._release(now)

    def finish(self, now: float) -> list[Due]:
        """The client sends no more."""
        self._ended = True
        return self._release(now)

    def begin(self, now: float) -> list[Due]:
        """The call begins."""
        return self._release(now)

    def _release(self, now: float) -> list[Due]:
        due = []
        self._last = max(self._last, now)
        while self._steps and self._is_ready(self._steps[0]):
            step = self._steps.pop(0)
            self._last += step.gap / self._speed if self._speed else 0.0
            due.append(Due(self._last, step.event))
        return due

    def _is_ready(self, step: _Step) -> bool:
        if self._ended:
            return True
        return self._messages >= step.messages and self._audio >= step.audio and not step.ended


def audio_bytes(message: Any) -> int:
    """Tell how much audio a message carries; 0 where it carries none, or something beside it."""
    if isinstance(message, bytes):
        return len(message)
    if not isinstance(message, dict):
        return 0
    for outer in ("realtimeInput", "realtime_input"):
        if isinstance(inner := message.get(outer), dict):
            return audio_bytes(inner)
    if set(message) - set(_AUDIO):
        return 0
    return sum(_size(value) for value in message.values())


def first_difference(cassette: Cassette, message: Any) -> bool:
    """Tell whether a call that begins with a message differs from a recorded one."""
    sent = [event for event in cassette.events if event.side == "client" and event.is_message]
    if not sent:
        return message is not None
    recorded = sent[0].what.get("json", sent[0].what.get("text"))
    return recorded is not None and recorded != message


def _steps(cassette: Cassette) -> list[_Step]:
    steps: list[_Step] = []
    messages = audio = 0
    ended = False
    last = 0.0
    for event in cassette.events:
        if event.side == "client":
            if not event.is_message:
                ended = True
            elif size := audio_bytes(_content(event)):
                audio += size
            else:
                messages += 1
        else:
            steps.append(_Step(event, max(0.0, event.at - last), messages, audio, ended))
        last = event.at
    return steps


def _content(event: Event) -> Any:
    return event.what["json"] if "json" in event.what else event.content()


def _size(value: Any) -> int:
    if isinstance(value, str):
        try:
            return len(base64.b64decode(value, validate=False))
        except (binascii.Error, ValueError):
            return len(value)
    if isinstance(value, dict):
        return _size(value.get("data", ""))
    return sum(_size(item) for item in value) if isinstance(value, Sequence) else 0
