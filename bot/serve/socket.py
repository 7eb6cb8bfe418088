"""Pipecat's WebSocket transport: audio does not wait for a task of its own, and the bot speaks when it is sent."""

from typing import Any

from fastapi import WebSocket
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketInputTransport,
    FastAPIWebsocketOutputTransport,
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)

from halfcascade.bot.serve.hearing import PromptInput
from halfcascade.transports.speaking import ToldAsPlayed


class PromptWebsocketInput(PromptInput, FastAPIWebsocketInputTransport):
    """Pushes audio as it is received."""


class PromptWebsocketOutput(ToldAsPlayed, FastAPIWebsocketOutputTransport):
    """Tells that the bot speaks only of what is sent."""


class PromptWebsocketTransport(FastAPIWebsocketTransport):
    """A WebSocket transport of a ``PromptWebsocketInput``, which takes no audio filter, and its output."""

    def __init__(self, websocket: WebSocket, params: FastAPIWebsocketParams, **kwargs: Any):
        """Take the socket.

        Args:
            websocket: Of the client, accepted.
            params: Of Pipecat's transport.
            **kwargs: For Pipecat's transport.
        """
        super().__init__(websocket, params, **kwargs)
        self._input = PromptWebsocketInput(self, self._client, params, name=self._input_name)
        self._output = PromptWebsocketOutput(self, self._client, params, name=self._output_name)
