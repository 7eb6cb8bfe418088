"""Pipecat's WebSocket transport, in which audio does not wait for a task of its own."""

from typing import Any

from fastapi import WebSocket
from pipecat.frames.frames import InputAudioRawFrame
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketInputTransport,
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)


class PromptWebsocketInput(FastAPIWebsocketInputTransport):
    """Pushes audio as it is received; Pipecat queues it for another task, with a timer for each block."""

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        """Push a block.

        Args:
            frame: The block.
        """
        if not self._paused:
            await self.push_frame(frame)


class PromptWebsocketTransport(FastAPIWebsocketTransport):
    """A WebSocket transport with a ``PromptWebsocketInput``. It takes no audio filter."""

    def __init__(self, websocket: WebSocket, params: FastAPIWebsocketParams, **kwargs: Any):
        """Take the socket.

        Args:
            websocket: Of the client, accepted.
            params: Of Pipecat's transport.
            **kwargs: For Pipecat's transport.
        """
        super().__init__(websocket, params, **kwargs)
        self._input = PromptWebsocketInput(self, self._client, params, name=self._input_name)
