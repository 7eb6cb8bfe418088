"""What a session is set up with, and whether it has to be set up anew."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from google.genai import types
from pipecat.adapters.llm.services.gemini_live_adapter import GeminiLiveLLMAdapter
from pipecat.processors.aggregators.llm_context import LLMContext

from halfcascade.processors.gemini_live.protocol.link import Renewal
from halfcascade.processors.gemini_live.protocol.models import LiveModel, Modality, lookup
from halfcascade.processors.gemini_live.settings import GeminiLiveTextSettings, live_config
from halfcascade.processors.gemini_live.tools import declare


class SetupMessage:
    """Keeps the instruction and the tools that a session was told, beside the settings."""

    def __init__(
        self,
        settings: GeminiLiveTextSettings,
        adapter: GeminiLiveLLMAdapter,
        is_async: Callable[[str], bool],
    ) -> None:
        """Start with nothing told.

        Args:
            settings: As they are, live.
            adapter: Words declarations of functions.
            is_async: Tells whether the named function outlives interruptions.
        """
        self._settings = settings
        self._adapter = adapter
        self._is_async = is_async
        self._declared: list[Any] | None = None
        self._instruction: str | None = None

    @property
    def model_name(self) -> str:
        """Name of the model that is wanted now."""
        return str(self._settings.model)

    @property
    def row(self) -> LiveModel:
        """Row of that model, with the modality that is wanted."""
        row, wanted = lookup(self.model_name), self._settings.modality
        return row if wanted == "auto" else replace(row, text_output=wanted == "text")

    @property
    def tools(self) -> list[Any]:
        """Declarations of functions that the session was told."""
        return self._declared or []

    @property
    def instruction(self) -> str | None:
        """The instruction that the session was told."""
        return self._instruction

    def take(self, context: LLMContext | None, instruction: str | None, model: LiveModel) -> Renewal | None:
        """Take what the next session is told.

        Args:
            context: Where the tools stand.
            instruction: The instruction.
            model: Row of the model that is told.

        Returns:
            What the session needs to know of it; None if that is all the same.
        """
        tools = self._adapter.from_standard_tools(context.tools if context else None)
        declared = declare(tools, model, self._is_async) if isinstance(tools, list) else []
        old = self._declared, self._instruction
        self._declared, self._instruction = declared, instruction
        if old == (declared, instruction):
            return None
        # A resumed session was seen to keep its old instruction (facts/live#lifetime).
        return Renewal.RESUME if instruction == old[1] else Renewal.FRESH

    def make(self, row: LiveModel, modality: Modality, *, handle: str | None, history: bool) -> types.LiveConnectConfig:
        """Word the message.

        Args:
            row: Row of the model.
            modality: What is asked for.
            handle: What the session is resumed by, if it is.
            history: Whether a history follows.
        """
        return live_config(
            self._settings,
            row,
            modality,
            instruction=self._instruction,
            tools=self._declared,
            handle=handle,
            history=history,
        )
