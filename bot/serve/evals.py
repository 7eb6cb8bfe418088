"""Pipecat's transport for its eval harness, to which the bot speaks when it is sent."""

from typing import Any

from fastapi import WebSocket
from pipecat.evals.fastapi_transport import EvalFastAPIWebsocketOutputTransport, EvalFastAPIWebsocketTransport
from pipecat.evals.serializer import EvalConnectionFlags
from pipecat.evals.transport import EvalTransportParams

from halfcascade.transports.speaking import ToldAsPlayed


class HarnessOutput(ToldAsPlayed, EvalFastAPIWebsocketOutputTransport):
    """Tells that the bot speaks only of what is sent."""


class HarnessTransport(EvalFastAPIWebsocketTransport):
    """The harness's transport with an `HarnessOutput`."""

    def __init__(self, websocket: WebSocket, params: EvalTransportParams, flags: EvalConnectionFlags, **kwargs: Any):
        """Take the socket.

        Args:
            websocket: Of the harness, its first message read.
            params: Of Pipecat's transport.
            flags: What that message asked for.
            **kwargs: For Pipecat's transport.
        """
        super().__init__(websocket, params, flags, **kwargs)
        self._output = HarnessOutput(self, self._client, self._params, name=self._output_name)
