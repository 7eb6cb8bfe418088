"""A Speech-to-Text streaming client as a user of Google would write it; it knows nothing of the emulator."""

import sys
import wave

from google.api_core.client_options import ClientOptions
from google.cloud.speech_v2 import SpeechClient
from google.cloud.speech_v2.types import cloud_speech

with wave.open(sys.argv[1]) as recording:
    rate = recording.getframerate()
    audio = recording.readframes(recording.getnframes())

client = SpeechClient(client_options=ClientOptions(api_endpoint="us-speech.googleapis.com"))
config = cloud_speech.StreamingRecognitionConfig(
    config=cloud_speech.RecognitionConfig(
        explicit_decoding_config=cloud_speech.ExplicitDecodingConfig(
            encoding=cloud_speech.ExplicitDecodingConfig.AudioEncoding.LINEAR16,
            sample_rate_hertz=rate,
            audio_channel_count=1,
        ),
        language_codes=["en-US"],
        model="chirp_3",
    )
)


def requests():
    yield cloud_speech.StreamingRecognizeRequest(
        recognizer="projects/my-project/locations/us/recognizers/_", streaming_config=config
    )
    for start in range(0, len(audio), 12_800):
        yield cloud_speech.StreamingRecognizeRequest(audio=audio[start : start + 12_800])


for response in client.streaming_recognize(requests=requests()):
    for result in response.results:
        print(result.alternatives[0].transcript)
