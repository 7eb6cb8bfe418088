"""Resampling what callers say without holding it back.

Pipecat's resampler is made for quality: from 8 to 16 kHz it hands out audio in pieces of 95 ms, up to 110 ms late, and
every turn of a telephone would begin to be answered as much later. FFmpeg's, with its short filter, is 2 ms late.
"""

from typing import TYPE_CHECKING

import numpy as np
from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.serializers.base_serializer import FrameSerializer

if TYPE_CHECKING:
    import av
    from pipecat.processors.frame_processor import FrameProcessorSetup


class PromptResampler:
    """Resamples a stream of 16-bit mono audio.

    Args:
        rate: Samples per second of what is given out.
    """

    def __init__(self, rate: int):
        self._rate = rate
        self._given = rate
        self._resampler: av.AudioResampler | None = None

    def resample(self, audio: bytes, rate: int) -> bytes:
        """Resample the next piece.

        Args:
            audio: Whole samples.
            rate: Samples per second; where it changes, a new stream begins.

        Returns:
            All of it but for the last 1 or 2 ms, which come with the next piece.
        """
        if rate == self._rate or not audio:
            return audio
        import av

        if self._resampler is None or rate != self._given:
            self._given = rate
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=self._rate)
        frame = av.AudioFrame.from_ndarray(np.frombuffer(audio, "<i2")[None, :], format="s16", layout="mono")
        frame.sample_rate = rate
        return b"".join(piece.to_ndarray().tobytes() for piece in self._resampler.resample(frame))


class PromptSerializer(FrameSerializer):
    """Any serializer whose audio shall arrive at another rate than it gives.

    Args:
        inner: Speaks the protocol; set up so that it does not resample itself.
        rate: Samples per second of what arrives.
    """

    def __init__(self, inner: FrameSerializer, rate: int):
        super().__init__()
        self._inner = inner
        self._rate = rate
        self._resampler = PromptResampler(rate)

    async def setup(self, setup: "FrameProcessorSetup") -> None:  # type: ignore[override]  # as Pipecat's own
        """Learn what the pipeline is like.

        Args:
            setup: Of the pipeline.
        """
        await super().setup(setup)
        await self._inner.setup(setup)

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """Write one message.

        Args:
            frame: Any frame.
        """
        return await self._inner.serialize(frame)

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """Read one message.

        Args:
            data: What came.
        """
        frame = await self._inner.deserialize(data)
        if not isinstance(frame, InputAudioRawFrame):
            return frame
        audio = self._resampler.resample(frame.audio, frame.sample_rate)
        return InputAudioRawFrame(audio, self._rate, frame.num_channels) if audio else None
