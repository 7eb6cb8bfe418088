"""Pipecat's WebSocket transport, in which audio does not wait for a task of its own."""

from typing import Any

from fastapi import WebSocket
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketInputTransport,
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)

from halfcascade.bot.serve.hearing import PromptInput


class PromptWebsocketInput(PromptInput, FastAPIWebsocketInputTransport):
    """Pushes audio as it is received."""


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
