"""The three services in memory: a recognizer that knows the words, a brain with sentences, a voice that hums."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
from google import genai
from google.api_core import exceptions as google_errors
from google.genai import types

from bench.soak.faults import Fault, Faults
from bench.soak.user import TalkingUser
from halfcascade.bot.replay.ears import EarsTiming, recognize_words
from halfcascade.bot.replay.hearing import SentAudio, UserAudio
from halfcascade.bot.replay.memory import MemoryLive, MemoryServices
from halfcascade.bot.replay.tape import VOICE_RATE, Line
from halfcascade.bot.replay.voice import VoiceTiming, speak_text
from halfcascade.processors.gemini_live.connection import ConnectionLost, ConnectionRefused

_TEXT_SECS, _PIECE_SECS, _PIECE = 0.35, 0.06, 12
_PIECE_OF_SOUND = 0.12
REPLIES = (
    "Yes, I think that is so.",
    "Let me put it simply. The train leaves at nine, and it takes about two hours to get there.",
    "Of course. There are three of them in the kitchen, two in the hall and one in the garden.",
    "That is a good question. Nobody knows for sure.",
    "It will be warm and dry in the morning. In the afternoon there may be some rain, so take a coat with you.",
    "No.",
)


class SoakServices(MemoryServices):
    """Services that know what the user says (see ``Services``), and fail as planned.

    Parameters:
        asked: What the brain was asked, each time.

    Args:
        user: Who talks.
        faults: What goes wrong.
        reply: Gives the next answer.
    """

    def __init__(self, user: TalkingUser, faults: Faults, reply: Callable[[], str]):
        super().__init__(self._recognize, self._speak)
        self.asked: list[str] = []
        self._user = user
        self._faults = faults
        self._reply = reply
        self._audio = UserAudio()
        self._began: float | None = None
        self._handles = 0
        t = np.arange(VOICE_RATE) / VOICE_RATE
        hum = np.sin(2 * np.pi * 160 * t) + 0.5 * np.sin(2 * np.pi * 320 * t)
        self._sound = (2500 * hum * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))).astype(np.int16)

    @property
    def now(self) -> float:
        """Seconds since the user's first sample."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    def heard(self, audio: bytes) -> None:
        """Take what the ears are about to be given.

        Args:
            audio: 16-bit mono PCM.
        """
        if self._began is None:
            self._began = time.monotonic()
        self._audio.append(audio)

    async def open_live(self, client: genai.Client, model: str, config: types.LiveConnectConfig) -> MemoryLive:
        """Open a Live connection.

        Args:
            client: Ignored.
            model: Ignored.
            config: Its handle, if it resumes.

        Raises:
            ConnectionRefused: While a fault says so.
        """
        if self._active("brain refuse"):
            raise ConnectionRefused(1011, "The service is currently unavailable.")
        resumes = config.session_resumption and config.session_resumption.handle
        if resumes and self._active("brain forget"):
            raise ConnectionRefused(1008, "BidiGenerateContent session not found")
        await asyncio.sleep(0.08)
        live = MemoryLive(self._answer)
        live.later(0.002, self._handle())
        self._plan_end(live)
        return live

    def _plan_end(self, live: MemoryLive) -> None:
        """Connections end after ten minutes; where the network fails, at once."""
        live.later(540.0, types.LiveServerMessage(go_away=types.LiveServerGoAway(time_left="50s")))
        live.later(590.0, ConnectionLost(1001, "The session is over."))
        for fault in self._faults.planned:
            if fault.begin > self.now and fault.kind == "brain drop":
                live.later(fault.begin - self.now, ConnectionLost(1006, "connection lost"))
                break
        for fault in self._faults.planned:
            if fault.begin > self.now and fault.kind == "brain goaway":
                soon = types.LiveServerMessage(go_away=types.LiveServerGoAway(time_left="5s"))
                live.later(fault.begin - self.now, soon)
                live.later(fault.begin - self.now + 5.0, ConnectionLost(1001, "The session is over."))
                break

    def _answer(self, live: MemoryLive, sent: Line) -> None:
        live.hurry(lambda message: True)
        if not sent["complete"] or self._active("brain mute"):
            return
        self.asked.append(str(sent.get("text", "")))
        reply, at = self._reply(), _TEXT_SECS
        for place in range(0, len(reply), _PIECE):
            live.later(at, _content(output_transcription=types.Transcription(text=reply[place : place + _PIECE])))
            at += _PIECE_SECS
        live.later(at, _content(generation_complete=True))
        usage = types.UsageMetadata(prompt_token_count=200, response_token_count=len(reply))
        over = _content(turn_complete=True)
        live.later(at + 0.01, over.model_copy(update={"usage_metadata": usage}))
        live.later(at + 0.02, self._handle())

    def _handle(self) -> types.LiveServerMessage:
        self._handles += 1
        update = types.LiveServerSessionResumptionUpdate(new_handle=f"handle-{self._handles}", resumable=True)
        return types.LiveServerMessage(session_resumption_update=update)

    async def _recognize(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        if self._active("ears refuse"):
            raise google_errors.ServiceUnavailable("The service is currently unavailable.")
        sent = SentAudio(self._audio)
        feeding = asyncio.create_task(sent.run(requests))
        late = 1.5 if self._active("ears late") else 0.0
        timing = EarsTiming(flush_secs=EarsTiming.flush_secs + late)
        try:
            async for response in recognize_words(sent, self._user.words_between, timing):
                if self._active("ears break"):
                    raise google_errors.ServiceUnavailable("Connection reset by peer.")
                if self._active("ears mute"):
                    await asyncio.Event().wait()
                yield response
        finally:
            feeding.cancel()

    async def _speak(self, text: str) -> AsyncIterator[bytes]:
        if self._active("voice refuse"):
            raise google_errors.ServiceUnavailable("The service is currently unavailable.")
        if self._active("voice late"):
            await asyncio.sleep(2.0)
        given = 0
        async for pcm in speak_text(text, self._sound, VoiceTiming()):
            if given > VOICE_RATE * _PIECE_OF_SOUND and self._active("voice break"):
                raise google_errors.ServiceUnavailable("Connection reset by peer.")
            given += len(pcm)
            yield pcm

    def _active(self, kind: str) -> Fault | None:
        return self._faults.active(kind, self.now)


def _content(**fields: Any) -> types.LiveServerMessage:
    return types.LiveServerMessage(server_content=types.LiveServerContent(**fields))
