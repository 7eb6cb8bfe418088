"""What Pipecat's eval harness would ask of a paid service: the user's voice, and ears for the bot's."""

import asyncio
import io
from collections.abc import AsyncGenerator
from typing import Any

import soundfile
import soxr
from pipecat.frames.frames import Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService


class _Espeak(TTSService):
    """The user's voice, by espeak-ng in a process of its own."""

    def __init__(self, voice: str):
        settings = TTSSettings(model=None, voice=voice, language=None)
        super().__init__(settings=settings, push_start_frame=True, push_stop_frames=True)
        self._voice = voice

    def can_generate_metrics(self) -> bool:
        """Nobody measures the user."""
        return False

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak."""
        command = ["espeak-ng", "-v", self._voice, "-s", "150", "--stdout", text]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        spoken, _ = await process.communicate()
        sound, rate = soundfile.read(io.BytesIO(spoken), dtype="float32")
        audio = (soxr.resample(sound, rate, self.sample_rate) * 32767).astype("<i2").tobytes()
        size = self.sample_rate // 25 * 2
        for start in range(0, len(audio), size):
            yield TTSAudioRawFrame(audio[start : start + size], self.sample_rate, 1, context_id=context_id)


def voice(config: dict[str, Any]) -> TTSService:
    """Make the user's voice.

    Args:
        config: The scenario's ``speech``; ``voice`` is one of espeak-ng's.
    """
    return _Espeak(config.get("voice", "en-us"))


def ears(config: dict[str, Any]) -> STTService:
    """Make the ears that write down what the bot said.

    Args:
        config: The scenario's ``transcription``.
    """
    from halfcascade.processors.google_stt import GoogleStreamingSTTService

    return GoogleStreamingSTTService()
