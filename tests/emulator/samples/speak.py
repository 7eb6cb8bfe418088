"""A Text-to-Speech streaming client as a user of Google would write it; it knows nothing of the emulator."""

import itertools

from google.cloud import texttospeech

client = texttospeech.TextToSpeechClient()
config = texttospeech.StreamingSynthesizeConfig(
    voice=texttospeech.VoiceSelectionParams(name="en-US-Chirp3-HD-Charon", language_code="en-US")
)
requests = itertools.chain(
    [texttospeech.StreamingSynthesizeRequest(streaming_config=config)],
    (
        texttospeech.StreamingSynthesizeRequest(input=texttospeech.StreamingSynthesisInput(text=text))
        for text in ("Hello there. ", "How are you today?")
    ),
)
print(sum(len(response.audio_content) for response in client.streaming_synthesize(requests)))
