"""The protocol of ``StreamingSynthesize``, without I/O.

A shell feeds the machine requests, audio of the speaker and clock readings, and carries out the actions that come back.
"""

from collections import deque
from typing import Any

import grpc

from halfcascade.emulator.actions import Abort, Action, Begin, End, Feed, Finish, RequestError, Send, invalid
from halfcascade.emulator.limits import TtsLimits
from halfcascade.emulator.minds.base import SPEAKER_RATE
from halfcascade.emulator.tts.encoding import Encoder
from halfcascade.emulator.tts.request import Pause, StreamVoice, parse_stream_config, parse_stream_input, silence

# facts/tts#limits, verbatim, "5s seconds" included.
IDLE_TEXT = (
    "Stream aborted due to long duration elapsed without input sent. "
    "Input must be sent continuously, at least every 5s seconds."
)


class SynthesizeStream:
    """One ``StreamingSynthesize`` call.

    A speaker only knows text. Pauses of the markup are made here: the speaker's stream before a pause is finished,
    silence is sent, and a new one begun for what comes after.

    Parameters:
        now: Clock reading in seconds; later calls continue the same clock.
        limits: What is enforced.
        response: Class of the response protobuf, of the API's version.
        chunk: Seconds of audio in one response (facts/tts#first-audio).
    """

    def __init__(self, now: float, limits: TtsLimits, chunk: float, response: Any) -> None:
        self._response = response
        self._limits = limits
        self._chunk_bytes = max(1, round(chunk * SPEAKER_RATE)) * 2
        self._last_input = now
        self._voice: StreamVoice | None = None
        self._encoder: Encoder | None = None
        self._waiting: deque[str | Pause] = deque()
        self._speaking = False
        self._finishing = False
        self._half_closed = False
        self._ended = False

    @property
    def voice(self) -> StreamVoice | None:
        """What the first message configured."""
        return self._voice

    @property
    def deadline(self) -> float | None:
        """When ``tick`` must be called at the latest, or None while nothing can time out."""
        if self._ended or self._half_closed:
            return None
        return self._last_input + self._limits.idle

    def receive(self, request: Any, now: float) -> list[Action]:
        """Take a client message.

        Args:
            request: ``StreamingSynthesizeRequest`` protobuf.
            now: Clock reading.

        Returns:
            What to do.
        """
        if self._ended or self._half_closed:
            return []
        self._last_input = now
        kind = request.WhichOneof("streaming_request")
        try:
            if self._voice is None:
                if kind != "streaming_config":
                    raise invalid("The first message must contain a streaming_config and no input.")
                self._voice = parse_stream_config(request.streaming_config)
                self._encoder = self._voice.stream_encoder()
                return []
            if kind != "input":
                raise invalid("After the first message, every message must contain input only.")
            self._waiting += parse_stream_input(request.input, self._voice, self._limits)
        except RequestError as error:
            return self._abort(error.code, error.text)
        return self._proceed()

    def half_close(self, now: float) -> list[Action]:
        """The client sends no more.

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        del now
        if self._ended:
            return []
        self._half_closed = True
        return self._proceed()

    def spoken(self, pcm: bytes, now: float) -> list[Action]:
        """Take audio of the speaker.

        Args:
            pcm: 16-bit mono PCM at ``SPEAKER_RATE``.
            now: Clock reading.

        Returns:
            What to do.
        """
        del now
        return [] if self._ended else self._send_audio(pcm)

    def speaker_done(self, now: float) -> list[Action]:
        """The speaker's stream has ended.

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        del now
        if self._ended:
            return []
        self._speaking = self._finishing = False
        return self._proceed()

    def tick(self, now: float) -> list[Action]:
        """Let time pass.

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        deadline = self.deadline
        if deadline is None or now < deadline:
            return []
        return self._abort(grpc.StatusCode.ABORTED, IDLE_TEXT)

    def _proceed(self) -> list[Action]:
        actions: list[Action] = []
        while self._waiting and not self._finishing:
            if not isinstance(piece := self._waiting[0], Pause):
                if not self._speaking and self._voice:
                    self._speaking = True
                    actions.append(Begin(self._voice.request))
                actions.append(Feed(piece))
            elif self._speaking:
                self._finishing = True
                return [*actions, Finish()]
            else:
                actions += self._send_audio(silence(piece.seconds))
            self._waiting.popleft()
        if self._half_closed and not self._waiting and not self._finishing:
            if self._speaking:
                self._finishing = True
                return [*actions, Finish()]
            self._ended = True
            actions += self._send_encoded(self._encoder.flush() if self._encoder else b"")
            actions.append(End())
        return actions

    def _send_audio(self, pcm: bytes) -> list[Action]:
        actions: list[Action] = []
        for start in range(0, len(pcm), self._chunk_bytes):
            if self._encoder:
                actions += self._send_encoded(self._encoder.encode(pcm[start : start + self._chunk_bytes]))
        return actions

    def _send_encoded(self, data: bytes) -> list[Action]:
        return [Send(self._response(audio_content=data))] if data else []

    def _abort(self, code: grpc.StatusCode, text: str) -> list[Action]:
        self._ended = True
        return [Abort(code, text)]
