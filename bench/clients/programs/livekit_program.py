"""livekit-agents with its Google plugins: ears, brain, voice, and a realtime model."""

import asyncio

from livekit import rtc
from livekit.agents import llm
from livekit.agents.utils import http_context
from livekit.plugins import google
from trying import case, expect, pieces, run, speech


def frames():
    return [rtc.AudioFrame(piece, 16_000, 1, len(piece) // 2) for piece in pieces(speech())]


@case("STT, its default (v1 or v2)")
async def stt():
    stream = google.STT(languages="en-US", model="latest_long", location="global").stream()
    for frame in frames():
        stream.push_frame(frame)
    stream.end_input()
    texts = [event.alternatives[0].text async for event in stream if event.alternatives]
    return expect(texts[-1], "what time is it")


@case("STT, chirp_3")
async def chirp():
    stream = google.STT(languages="en-US", model="chirp_3", location="us").stream()
    for frame in frames():
        stream.push_frame(frame)
    stream.end_input()
    texts = [event.alternatives[0].text async for event in stream if event.alternatives]
    return expect(texts[-1], "what time is it")


@case("TTS")
async def tts():
    stream = google.TTS(voice_name="en-US-Chirp3-HD-Kore", language="en-US").stream()
    stream.push_text("Hello there. How are you today? ")
    stream.push_text("I am fine.")
    stream.end_input()
    samples = 0
    async for audio in stream:
        samples += audio.frame.samples_per_channel
    assert samples > 24_000
    return samples


@case("LLM")
async def model():
    context = llm.ChatContext.empty()
    context.add_message(role="user", content="hello")
    said = ""
    async for chunk in google.LLM(model="gemini-3.8-flash").chat(chat_ctx=context):
        said += (chunk.delta.content or "") if chunk.delta else ""
    return expect(said, "You said: hello")


@case("Realtime, text turn")
async def realtime():
    http_context._new_session_ctx()
    session = google.realtime.RealtimeModel().session()
    generation = await asyncio.wait_for(session.generate_reply(instructions="say hello"), 15)
    said, samples = await taken(generation)
    await session.aclose()
    assert samples > 5_000, "no audio"
    return said


@case("Realtime, microphone turn")
async def microphone():
    http_context._new_session_ctx()
    session = google.realtime.RealtimeModel().session()
    begun = asyncio.get_running_loop().create_future()
    session.on("generation_created", lambda event: begun.done() or begun.set_result(event))
    for frame in frames():
        session.push_audio(frame)
        await asyncio.sleep(0.005)
    said, samples = await taken(await asyncio.wait_for(begun, 15))
    await session.aclose()
    assert samples > 5_000, "no audio"
    return expect(said, "what time is it")


async def taken(generation):
    said, samples = "", 0
    async for message in generation.message_stream:

        async def listen(stream=message.audio_stream):
            nonlocal samples
            async for frame in stream:
                samples += frame.samples_per_channel

        listening = asyncio.create_task(listen())
        async for text in message.text_stream:
            said += text
        await listening
    return said, samples


run()
