"""Functions of the model that always report something, in plain JSON and in time."""

import asyncio
import re
from collections.abc import Iterable
from typing import Any

from google.genai import types
from pipecat.adapters.llm.services.gemini_live_adapter import GeminiLiveLLMAdapter
from pipecat.frames.frames import Frame, FunctionCallResultFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallFromLLM, FunctionCallRunnerItem, LLMService

from halfcascade.processors.plain import plain

# The model chooses names: one that is none must not forge anything where it is shown.
_NOT_IN_NAMES = re.compile(r"[^\w.:-]")
_LONGEST_NAME = 128

FUNCTION_SECS = 30.0
"""How long a function may take unless its own options say otherwise, in seconds."""


class FunctionRunner(LLMService[GeminiLiveLLMAdapter]):
    """Pipecat's service, in which no function leaves the model waiting for ever."""

    def __init__(self, **kwargs: Any) -> None:
        """Prepare to run functions.

        Args:
            **kwargs: For ``LLMService``.
        """
        kwargs.setdefault("function_call_timeout_secs", FUNCTION_SECS)
        super().__init__(**kwargs)

    def _register_direct_function(self, handler: Any, **options: Any) -> None:
        super()._register_direct_function(handler, **options)
        # Pipecat runs the clean-up that a handler carries; direct functions may carry one here, too (timers do).
        self._record_tool_cleanup(handler)

    async def run_model_calls(self, calls: Iterable[types.FunctionCall], context: LLMContext) -> None:
        """Run the functions that the model calls.

        Args:
            calls: As sent.
            context: The conversation that they were called in.
        """
        await self.run_function_calls(
            [
                FunctionCallFromLLM(
                    function_name=_NOT_IN_NAMES.sub("_", call.name or "")[:_LONGEST_NAME],
                    tool_call_id=call.id or "",
                    arguments=plain(call.args or {}),
                    context=context,
                )
                for call in calls
            ]
        )

    async def broadcast_frame(self, frame_cls: type[Frame], **kwargs: Any) -> None:
        """Broadcast a frame; what functions return becomes plain JSON here, where it enters the pipeline.

        Args:
            frame_cls: Its class.
            **kwargs: Its fields.
        """
        if frame_cls is FunctionCallResultFrame:
            kwargs["result"] = plain(kwargs.get("result"))
        await super().broadcast_frame(frame_cls, **kwargs)

    async def _run_function_call(self, runner_item: FunctionCallRunnerItem) -> None:
        await super()._run_function_call(runner_item)
        if runner_item.settled:
            return
        # The function has returned without a result, which may still come from a task of its own; it is waited for
        # a while, not for ever.
        await asyncio.sleep(runner_item.registry_item.timeout_secs or self._function_call_timeout_secs or FUNCTION_SECS)
        if runner_item.settled:
            return
        runner_item.settled = True
        await self.broadcast_frame(
            FunctionCallResultFrame,
            function_name=runner_item.function_name,
            tool_call_id=runner_item.tool_call_id,
            arguments=runner_item.arguments,
            result={"error": "The function reported no result."},
            run_llm=runner_item.run_llm,
        )
