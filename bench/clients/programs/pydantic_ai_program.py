"""pydantic-ai: realtime sessions by text and microphone, with a tool."""

import asyncio

from pydantic_ai import Agent
from pydantic_ai.realtime import RealtimeTurnCompleteEvent
from trying import case, expect, pieces, run, speech


async def talk(model, text="", *, tool=False, audio=False):
    agent = Agent(instructions="Reply in a few words.")
    if tool:

        @agent.tool_plain
        def get_weather(city: str) -> str:
            """Tell the weather."""
            return "sunny"

    said, sound = "", 0
    async with agent.realtime(f"google:{model}").session() as session:
        if audio:
            for piece in pieces(speech()):
                await session.send_audio(piece)
                await asyncio.sleep(0.005)
        else:
            await session.send(text)
        async for event in session:
            delta = getattr(event, "delta", None)
            if delta is not None:
                said += getattr(delta, "transcript_delta", None) or ""
                sound += len(getattr(delta, "audio_chunk", None) or b"")
            if isinstance(event, RealtimeTurnCompleteEvent):
                break
    assert sound > 10_000, "no audio"
    return said


@case("text turn")
async def text():
    expect(await talk("gemini-2.5-flash-native-audio-preview-09-2025", "hello"), "You said: hello")
    return expect(await talk("gemini-3.8-live", "hello"), "You said: hello")


@case("microphone turn")
async def microphone():
    expect(await talk("gemini-2.5-flash-native-audio-preview-09-2025", audio=True), "what time is it")
    return expect(await talk("gemini-3.8-live", audio=True), "what time is it")


@case("tool round")
async def tools():
    return expect(await talk("gemini-2.5-flash-native-audio-preview-09-2025", "the weather?", tool=True), "sunny")


@case("generateContent")
async def generate():
    return expect((await Agent("google:gemini-3.8-flash").run("hello")).output, "You said: hello")


run()
