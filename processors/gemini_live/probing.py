"""Asks the Live API, before a talk, whether it would answer."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from google import genai
from google.genai import types

from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.gemini_live.connection import ConnectionLost, ConnectionRefused
from halfcascade.processors.gemini_live.protocol.models import (
    LiveModel,
    Modality,
    Remedy,
    bare_name,
    explain_refusal,
)
from halfcascade.processors.gemini_live.runner import Opener
from halfcascade.processors.google_calls import Probe, probing
from halfcascade.processors.google_errors import GEMINI_LIVE

_ASKED = "Say hello."


async def probe_session(
    client: genai.Client,
    model: str,
    row: LiveModel,
    *,
    setup: Callable[[LiveModel], types.LiveConnectConfig],
    opener: Opener,
    secs: float,
) -> Probe:
    """Open a session as a talk would and wait for the first words of an answer.

    Args:
        client: google-genai client.
        model: Model name.
        row: Row of the model.
        setup: Makes the setup for a row.
        opener: Opens a connection.
        secs: How long that may take.

    Returns:
        What was found.

    Raises:
        ConfigurationError: Why it would not work, and what to do.
    """
    async with probing(GEMINI_LIVE, secs):
        connection, row = await _open(client, model, row, setup, opener)
        try:
            began = time.monotonic()
            if not await _answers(connection, row):
                raise ConfigurationError(f"Model {bare_name(model)} answers without words: choose another.")
            took = time.monotonic() - began
        except ConnectionLost as lost:
            refusal = explain_refusal(model, lost.code, lost.reason, modality=row.modality, resuming=False)
            raise ConfigurationError(refusal.line) from lost
        finally:
            await connection.close()
    how = "writes text" if row.modality is Modality.TEXT else "speaks, and its transcript is read"
    return Probe(f"Gemini Live answers: {bare_name(model)} {how}", took)


async def _open(
    client: genai.Client,
    model: str,
    row: LiveModel,
    setup: Callable[[LiveModel], types.LiveConnectConfig],
    opener: Opener,
) -> tuple[Any, LiveModel]:
    try:
        return await opener(client, model, setup(row)), row
    except ConnectionRefused as refused:
        refusal = explain_refusal(model, refused.code, refused.reason, modality=row.modality, resuming=False)
        if refusal.remedy is not Remedy.USE_AUDIO:
            raise ConfigurationError(refusal.line) from refused
    return await _open(client, model, replace(row, text_output=False), setup, opener)


async def _answers(connection: Any, row: LiveModel) -> bool:
    if row.client_content:
        content = types.Content(role="user", parts=[types.Part(text=_ASKED)])
        await connection.send_content([content], complete=True)
    else:
        await connection.send_text(_ASKED)
    async for message in connection.messages():
        content = message.server_content
        if message.text or (content and content.output_transcription and content.output_transcription.text):
            return True
        if message.tool_call or (content and (content.generation_complete or content.turn_complete)):
            return bool(message.tool_call)
    return False
