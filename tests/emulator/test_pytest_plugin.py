import subprocess
import sys
import textwrap

pytest_plugins = ["pytester"]


def test_loading_the_plug_in_loads_nothing_heavy():
    code = (
        "import sys, halfcascade.emulator.pytest_plugin;"
        "print([name for name in ('grpc', 'google.cloud', 'numpy', 'websockets', 'soundfile') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_fixtures_are_there_for_anybodys_tests(pytester):
    """Found by their entry point, as an installed package's are; asynchronous clients of one's own are led here."""
    pytester.makepyfile(
        """
        import os

        from google import genai
        from google.cloud import texttospeech_v1 as tts


        async def test_environment(google_emulator):
            assert os.environ["SPEECH_EMULATOR_HOST"] == google_emulator.env["SPEECH_EMULATOR_HOST"]
            client = genai.Client()
            config = {"response_modalities": ["AUDIO"], "output_audio_transcription": {}}
            async with client.aio.live.connect(model="gemini-3.8-live", config=config) as session:
                await session.send_client_content(turns={"role": "user", "parts": [{"text": "hello"}]})
                said = ""
                async for message in session.receive():
                    content = message.server_content
                    if content and content.output_transcription:
                        said += content.output_transcription.text or ""
            assert said == "You said: hello"
            assert (await tts.TextToSpeechAsyncClient().list_voices()).voices

        async def test_options(google_emulator_factory):
            google = await google_emulator_factory(profile="reference")
            assert google.profile.name == "reference"

        def test_it_is_gone_afterwards():
            assert "SPEECH_EMULATOR_HOST" not in os.environ
        """
    )
    result = pytester.runpytest_subprocess("-o", "asyncio_mode=auto", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3)


CLIENTS = """
    import pytest
    from google import genai
    from google.cloud import speech, texttospeech


    def test_clients_of_ones_own_are_led_here({fixture}):
        voices = texttospeech.TextToSpeechClient().list_voices(language_code="ko-KR").voices
        assert voices
        config = speech.RecognitionConfig(encoding="LINEAR16", sample_rate_hertz=16_000, language_code="en-US")
        pcm = bytes(bytearray(i % 256 for i in range(64_000)))
        answer = speech.SpeechClient().recognize(config=config, audio=speech.RecognitionAudio(content=pcm))
        assert answer.results[0].alternatives[0].transcript == "utterance 1"
        rest = texttospeech.TextToSpeechClient(transport="rest").list_voices(language_code="ko-KR").voices
        assert len(rest) == len(voices)
        for client in (genai.Client(), genai.Client(vertexai=True)):
            answer = client.models.generate_content(model="gemini-2.5-flash", contents="hello")
            assert answer.text == "You said: hello"
"""


def test_a_whole_session_shares_one_emulator_without_an_event_loop(pytester, monkeypatch):
    # No other plug-in is needed, and pytest-asyncio least of all.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        test_one=textwrap.dedent(CLIENTS).format(fixture="google_apis")
        + textwrap.dedent(
            """
            def test_again({fixture}):
                assert {fixture}.log.find("speech") == []
                {fixture}.reset(scenario={{"default_reply": "Hm."}})
                client = genai.Client()
                assert client.models.generate_content(model="gemini-2.5-flash", contents="x").text == "Hm."
            """
        ).format(fixture="google_apis"),
        test_two="import os\ndef test_led(google_apis): assert os.environ['SPEECH_EMULATOR_HOST']",
        test_three=textwrap.dedent(
            """
            from google.cloud import texttospeech
            from halfcascade.emulator.unittests import GoogleEmulatorTestCase

            class TestVoices(GoogleEmulatorTestCase):
                def test_voices(self):
                    assert texttospeech.TextToSpeechClient().list_voices().voices
                    assert self.google.log.find("tts")
            """
        ),
    )
    result = pytester.runpytest_subprocess("-p", "halfcascade.emulator.pytest_plugin", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=4)
