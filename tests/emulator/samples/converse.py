"""A Gemini Live client as a user of Google would write it; it knows nothing of the emulator."""

import asyncio

from google import genai
from google.genai import types

client = genai.Client()


async def main():
    config = types.LiveConnectConfig(
        response_modalities=["AUDIO"], output_audio_transcription=types.AudioTranscriptionConfig()
    )
    async with client.aio.live.connect(model="gemini-3.8-live", config=config) as session:
        await session.send_client_content(
            turns=types.Content(role="user", parts=[types.Part(text="Hello? Gemini, are you there?")])
        )
        async for message in session.receive():
            content = message.server_content
            if content and content.output_transcription and content.output_transcription.text:
                print(content.output_transcription.text, end="")


asyncio.run(main())
