"""google-genai: Live by text and by microphone, generateContent, tokens, Vertex."""

import asyncio
import os

from google import genai
from google.genai import types
from trying import case, expect, pieces, run, speech

MODELS = ["gemini-3.8-live", "gemini-3.1-flash-live-preview", "gemini-2.5-flash-native-audio-latest"]
CONFIG = {"response_modalities": ["AUDIO"], "input_audio_transcription": {}, "output_audio_transcription": {}}


async def turn(session):
    heard = said = ""
    audio = 0
    async for message in session.receive():
        content = message.server_content
        audio += len(message.data or b"")
        if content and content.input_transcription:
            heard += content.input_transcription.text or ""
        if content and content.output_transcription:
            said += content.output_transcription.text or ""
    assert audio > 10_000, "no audio"
    return f"{heard}|{said}"


@case("text turn")
async def text():
    for model in MODELS:
        async with genai.Client().aio.live.connect(model=model, config=CONFIG) as session:
            await session.send_client_content(turns={"role": "user", "parts": [{"text": "hello"}]})
            expect(await turn(session), "You said: hello")
            await session.send_realtime_input(text="again")
            shown = expect(await turn(session), "You said: again")
    return shown


@case("microphone turn")
async def microphone():
    for model in MODELS:
        async with genai.Client().aio.live.connect(model=model, config=CONFIG) as session:
            for piece in pieces(speech()):
                await session.send_realtime_input(audio=types.Blob(data=piece, mime_type="audio/pcm;rate=16000"))
                await asyncio.sleep(0.005)
            shown = expect(await turn(session), "what time is it|You said: what time is it")
    return shown


@case("microphone, manual activity")
async def manual():
    config = {**CONFIG, "realtime_input_config": {"automatic_activity_detection": {"disabled": True}}}
    async with genai.Client().aio.live.connect(model=MODELS[0], config=config) as session:
        await session.send_realtime_input(activity_start=types.ActivityStart())
        for piece in pieces(speech()):
            await session.send_realtime_input(audio=types.Blob(data=piece, mime_type="audio/pcm;rate=16000"))
        await session.send_realtime_input(activity_end=types.ActivityEnd())
        return expect(await turn(session), "what time is it")


@case("tool round")
async def tools():
    declaration = {"name": "get_weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}}
    config = {**CONFIG, "tools": [{"function_declarations": [{**declaration, "behavior": "BLOCKING"}]}]}
    async with genai.Client().aio.live.connect(model=MODELS[0], config=config) as session:
        await session.send_realtime_input(text="the weather?")
        async for message in session.receive():
            if message.tool_call:
                call = message.tool_call.function_calls[0]
                break
        response = types.FunctionResponse(id=call.id, name=call.name, response={"result": "sunny"})
        await session.send_tool_response(function_responses=[response])
        return expect(await turn(session), "It is sunny")


@case("resumption")
async def resumption():
    handle = None
    config = {**CONFIG, "session_resumption": {}}
    async with genai.Client().aio.live.connect(model=MODELS[0], config=config) as session:
        await session.send_realtime_input(text="hello")
        await turn(session)
        while not handle:
            async for message in session.receive():
                update = message.session_resumption_update
                if update and update.new_handle:
                    handle = update.new_handle
                    break
    config = {**CONFIG, "session_resumption": {"handle": handle}}
    async with genai.Client().aio.live.connect(model=MODELS[0], config=config) as session:
        await session.send_realtime_input(text="again")
        return expect(await turn(session), "again")


@case("ephemeral token")
async def token():
    options = {"api_version": "v1alpha"}
    client = genai.Client(http_options=options)
    token = await client.aio.auth_tokens.create(config={"uses": 1})
    short = genai.Client(api_key=token.name, http_options=options)
    async with short.aio.live.connect(model=MODELS[0], config=CONFIG) as session:
        await session.send_realtime_input(text="hello")
        return expect(await turn(session), "hello")


@case("generateContent")
def generate():
    client = genai.Client()
    streamed = client.models.generate_content_stream(model="gemini-3.8-flash", contents="hello")
    expect("".join(chunk.text or "" for chunk in streamed), "You said: hello")
    assert client.models.count_tokens(model="gemini-3.8-flash", contents="hello").total_tokens
    assert "models/gemini-3.8-live" in [model.name for model in client.models.list()]
    return expect(client.models.generate_content(model="gemini-3.8-flash", contents="hello").text, "You said: hello")


@case("Vertex AI")
async def vertex():
    client = genai.Client(
        vertexai=True,
        project=os.environ["GOOGLE_CLOUD_PROJECT"],
        location=os.environ["GOOGLE_CLOUD_LOCATION"],
    )
    expect((await client.aio.models.generate_content(model="gemini-3.8-flash", contents="hello")).text, "You said")
    config = {**CONFIG, "output_audio_transcription": {}}
    async with client.aio.live.connect(model="gemini-live-2.5-flash", config=config) as session:
        await session.send_client_content(turns={"role": "user", "parts": [{"text": "hello"}]})
        return expect(await turn(session), "You said: hello")


run()
