"""Who speaks, where and by which client: Pipecat's service with its settings checked."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

from google.cloud import texttospeech_v1 as tts
from pipecat.frames.frames import StartFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.services.google.tts import language_to_google_tts_language
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.transcriptions.language import Language

from halfcascade.processors.chirp_tts.measuring import VoiceMeasures, measure_synthesis
from halfcascade.processors.chirp_tts.probing import probe_synthesis
from halfcascade.processors.chirp_tts.settings import ChirpTTSSettings, check_settings, default_settings
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.google_calls import PROBE_SECS, Probe
from halfcascade.processors.google_channel import CloudChannel
from halfcascade.processors.google_clients import texttospeech_client

MakeClient = Callable[[str | None], tts.TextToSpeechAsyncClient]


class Speaker(TTSService):
    """Pipecat's service with the settings of Chirp 3 HD and a client of our own."""

    Settings = ChirpTTSSettings
    _settings: ChirpTTSSettings

    def __init__(
        self,
        *,
        client: tts.TextToSpeechAsyncClient | None,
        location: str | None,
        settings: ChirpTTSSettings | None,
        environ: Mapping[str, str] | None,
        make_client: MakeClient | None,
        **kwargs: Any,
    ):
        """Check the settings; nothing is connected yet.

        Args:
            client: Client to use, or None for one of its own.
            location: Region of the endpoint, or None for the global one.
            settings: Voice, language and how it speaks.
            environ: Variables that say where a client of its own leads; None means this process's.
            make_client: Makes a client of its own for a location; None means
                ``halfcascade.processors.google_clients.texttospeech_client``.
            **kwargs: Arguments of Pipecat's ``TTSService``.

        Raises:
            ConfigurationError: If voice, language and speaking rate do not fit together.
        """
        complete = default_settings()
        if settings is not None:
            complete.apply_update(settings)
        super().__init__(settings=complete, **kwargs)
        check_settings(self._settings)
        self._location = location
        self._client_for = make_client or partial(texttospeech_client, environ=environ)
        self._channel = CloudChannel(self._make_client, client)

    def language_to_service_language(self, language: Language) -> str | None:
        """Convert a language to Google's locale.

        Args:
            language: The language.

        Returns:
            Locale.
        """
        return language_to_google_tts_language(language)

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]  # as Pipecat's own
        """Make the client.

        Args:
            setup: Pipecat's setup.

        Raises:
            ConfigurationError: If there are no usable credentials.
        """
        await super().setup(setup)
        self._channel.open()

    async def probe(self, secs: float = PROBE_SECS) -> Probe:
        """Ask Text-to-Speech, before a talk, whether it would speak: one word on a call as talks make it.

        Args:
            secs: How long that may take.

        Returns:
            What was found.

        Raises:
            ConfigurationError: Why it would not work, and what to do.
        """
        async with self._channel.before_a_talk() as client:
            took = await probe_synthesis(client, self._settings, secs)
        voice = "a custom voice" if self._settings.voice_cloning_key else self._settings.voice
        return Probe(f"Text-to-Speech speaks: {voice} in {self._location or 'global'}", took)

    async def measure(self) -> VoiceMeasures:
        """Measure, before a talk, how soon the voice begins and what lies between two pieces; under a minute.

        Returns:
            What was measured.

        Raises:
            ConfigurationError: Why it does not work, and what to do.
        """
        async with self._channel.before_a_talk() as client:
            return await measure_synthesis(client, self._settings)

    async def start(self, frame: StartFrame) -> None:
        """Begin to connect, so that the first reply finds the channel warm.

        Args:
            frame: The start frame.
        """
        await super().start(frame)
        self._channel.connect()

    async def cleanup(self) -> None:
        """Close the client."""
        await super().cleanup()
        await self._channel.close()

    async def _update_settings(self, delta: TTSSettings) -> dict[str, Any]:  # type: ignore[override]  # as Pipecat's own
        wanted = replace(self._settings)
        wanted.apply_update(cast(ChirpTTSSettings, delta))
        try:
            check_settings(wanted)
        except ConfigurationError as error:
            await self.push_error(f"The voice stays as it was: {error}")
            return {}
        return await super()._update_settings(delta)

    def _make_client(self) -> tts.TextToSpeechAsyncClient:
        return self._client_for(self._location)
