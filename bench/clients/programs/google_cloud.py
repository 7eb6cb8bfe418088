"""google-cloud-speech and google-cloud-texttospeech: every version, gRPC and REST, with clients made as samples do."""

import importlib

from trying import case, expect, pieces, run, speech


def v1_stream(version):
    module = importlib.import_module(f"google.cloud.speech_{version}")
    config = module.RecognitionConfig(encoding="LINEAR16", sample_rate_hertz=16_000, language_code="en-US")
    streaming = module.StreamingRecognitionConfig(config=config, interim_results=True)
    requests = (module.StreamingRecognizeRequest(audio_content=piece) for piece in pieces(speech()))
    responses = module.SpeechClient().streaming_recognize(streaming, requests, timeout=20)
    return [result.alternatives[0].transcript for response in responses for result in response.results][-1]


def v1_batch(version, **client):
    module = importlib.import_module(f"google.cloud.speech_{version}")
    config = module.RecognitionConfig(encoding="LINEAR16", sample_rate_hertz=16_000, language_code="en-US")
    speaking = module.SpeechClient(**client)
    audio = module.RecognitionAudio(content=speech())
    long = speaking.long_running_recognize(config=config, audio=audio).result(timeout=20)
    expect(long.results[0].alternatives[0].transcript, "what time is it")
    return speaking.recognize(config=config, audio=audio).results[0].alternatives[0].transcript


@case("Speech v1, streaming")
def speech_v1():
    return expect(v1_stream("v1"), "what time is it")


@case("Speech v1, batch and REST")
def speech_v1_batch():
    expect(v1_batch("v1", transport="rest"), "what time is it")
    return expect(v1_batch("v1"), "what time is it")


@case("Speech v1p1beta1")
def speech_v1p1beta1():
    expect(v1_batch("v1p1beta1"), "what time is it")
    return expect(v1_stream("v1p1beta1"), "what time is it")


@case("Speech v2, streaming")
def speech_v2():
    from google.cloud import speech_v2 as module

    decoding = module.ExplicitDecodingConfig(encoding="LINEAR16", sample_rate_hertz=16_000, audio_channel_count=1)
    config = module.RecognitionConfig(explicit_decoding_config=decoding, language_codes=["en-US"], model="long")
    features = module.StreamingRecognitionFeatures(interim_results=True)
    streaming = module.StreamingRecognitionConfig(config=config, streaming_features=features)
    name = "projects/p/locations/global/recognizers/_"
    requests = [module.StreamingRecognizeRequest(recognizer=name, streaming_config=streaming)]
    requests += [module.StreamingRecognizeRequest(audio=piece) for piece in pieces(speech())]
    responses = module.SpeechClient().streaming_recognize(iter(requests), timeout=20)
    texts = [result.alternatives[0].transcript for response in responses for result in response.results]
    return expect(texts[-1], "what time is it")


@case("Speech v2, recognizers")
def recognizers():
    from google.cloud import speech_v2 as module

    client = module.SpeechClient()
    parent = "projects/p/locations/global"
    recognizer = module.Recognizer(
        default_recognition_config={"auto_decoding_config": {}, "language_codes": ["en-US"], "model": "long"}
    )
    made = client.create_recognizer(parent=parent, recognizer=recognizer, recognizer_id="mine").result(timeout=20)
    assert [item.name for item in client.list_recognizers(parent=parent)] == [made.name]
    client.delete_recognizer(name=made.name).result(timeout=20)
    return made.name


@case("Text-to-Speech v1, batch and REST")
def tts_v1():
    return tts("v1", transport="rest") + tts("v1")


@case("Text-to-Speech v1beta1")
def tts_v1beta1():
    return tts("v1beta1")


@case("Text-to-Speech, streaming")
def tts_streaming():
    return tts_stream("v1") + tts_stream("v1beta1")


def tts(version, **client):
    module = importlib.import_module(f"google.cloud.texttospeech_{version}")
    speaking = module.TextToSpeechClient(**client)
    assert speaking.list_voices(language_code="ko-KR").voices
    audio = speaking.synthesize_speech(
        input=module.SynthesisInput(text="Hello there."),
        voice=module.VoiceSelectionParams(language_code="en-US", name="en-US-Chirp3-HD-Kore"),
        audio_config=module.AudioConfig(audio_encoding="MP3"),
    ).audio_content
    assert len(audio) > 2_000
    return len(audio)


def tts_stream(version):
    module = importlib.import_module(f"google.cloud.texttospeech_{version}")
    voice = module.VoiceSelectionParams(language_code="en-US", name="en-US-Chirp3-HD-Kore")
    config = module.StreamingSynthesizeConfig(voice=voice)
    requests = [module.StreamingSynthesizeRequest(streaming_config=config)]
    for text in ("Hello there. ", "How are you ", "today?"):
        requests.append(module.StreamingSynthesizeRequest(input=module.StreamingSynthesisInput(text=text)))
    total = sum(
        len(answer.audio_content) for answer in module.TextToSpeechClient().streaming_synthesize(iter(requests))
    )
    assert total > 40_000
    return total


run()
