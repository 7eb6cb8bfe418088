"""google-adk: run_live by text and microphone, a tool, and an agent that is not live."""

import asyncio

from google.adk.agents import Agent, LiveRequestQueue
from google.adk.agents.run_config import RunConfig
from google.adk.runners import InMemoryRunner
from google.genai import types
from trying import case, expect, pieces, run, speech


def get_weather(city: str) -> dict:
    """Tell the weather."""
    return {"result": "sunny"}


async def live(text="", *, tools=()):
    agent = Agent(name="a", model="gemini-3.8-live", instruction="be nice", tools=list(tools))
    runner = InMemoryRunner(agent=agent, app_name="app")
    session = await runner.session_service.create_session(app_name="app", user_id="u")
    queue = LiveRequestQueue()
    config = RunConfig(
        response_modalities=["AUDIO"],
        output_audio_transcription=types.AudioTranscriptionConfig(),
        input_audio_transcription=types.AudioTranscriptionConfig(),
    )

    async def feed():
        if text:
            queue.send_content(types.Content(role="user", parts=[types.Part(text=text)]))
            return
        for piece in pieces(speech()):
            queue.send_realtime(types.Blob(data=piece, mime_type="audio/pcm;rate=16000"))
            await asyncio.sleep(0.005)

    feeding = asyncio.create_task(feed())
    said, sound = "", 0
    async for event in runner.run_live(user_id="u", session_id=session.id, live_request_queue=queue, run_config=config):
        for part in event.content.parts or [] if event.content else []:
            sound += len(part.inline_data.data or b"") if part.inline_data else 0
        if event.output_transcription:
            said += event.output_transcription.text or ""
        if event.error_code:
            raise RuntimeError(f"{event.error_code} {event.error_message}")
        # A tool that runs beside the conversation is answered in a turn of its own.
        if event.turn_complete and (not tools or "sunny" in said):
            break
    await feeding
    queue.close()
    assert sound > 10_000, "no audio"
    return said


@case("text turn")
async def text():
    return expect(await live("hello"), "You said: hello")


@case("microphone turn")
async def microphone():
    return expect(await live(), "what time is it")


@case("tool round")
async def tools():
    return expect(await live("the weather?", tools=[get_weather]), "sunny")


@case("generateContent")
async def generate():
    agent = Agent(name="b", model="gemini-3.8-flash", instruction="be nice")
    runner = InMemoryRunner(agent=agent, app_name="app")
    session = await runner.session_service.create_session(app_name="app", user_id="u")
    said = ""
    message = types.Content(role="user", parts=[types.Part(text="hello")])
    async for event in runner.run_async(user_id="u", session_id=session.id, new_message=message):
        for part in event.content.parts or [] if event.content else []:
            said += part.text or ""
    return expect(said, "You said: hello")


run()
