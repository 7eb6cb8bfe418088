"""What the ears listen for, where and by which client: Pipecat's service with its settings checked."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from google.cloud import speech_v2
from google.cloud.speech_v2.types import cloud_speech
from loguru import logger
from pipecat.services.google.stt import GoogleSTTService, GoogleSTTSettings
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language
from pipecat.utils.types import is_given

from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.google_calls import PROBE_SECS, Probe
from halfcascade.processors.google_channel import CloudChannel
from halfcascade.processors.google_clients import speech_client
from halfcascade.processors.google_stt.models import check_features, check_languages, resolve_location, takes_adaptation
from halfcascade.processors.google_stt.probing import PROBE_RATE, probe_recognition
from halfcascade.processors.google_stt.requests import FEATURES, streaming_config

MakeClient = Callable[[str], tuple[speech_v2.SpeechAsyncClient, str]]


class Recognizer(GoogleSTTService):
    """Pipecat's service on a client of our own, asked only for what model and location can do.

    Settings are those of Pipecat's ``GoogleSTTService``; ``languages`` also takes codes as strings, and ``["auto"]``.
    """

    Settings = GoogleSTTSettings
    _settings: GoogleSTTSettings

    def __init__(
        self,
        *,
        client: speech_v2.SpeechAsyncClient | None,
        project: str | None,
        location: str | None,
        settings: GoogleSTTSettings | None,
        environ: Mapping[str, str] | None,
        make_client: MakeClient | None,
        **kwargs: Any,
    ):
        """Check the settings; nothing is connected yet.

        Args:
            client: Client to use, or None for one of its own.
            project: Project of ``client``.
            location: Google Cloud location, or None for the one that serves the model.
            settings: What to listen for.
            environ: Variables that say where a client of its own leads; None means this process's.
            make_client: Makes a client of its own for a location, and names its project; None means
                ``halfcascade.processors.google_clients.speech_client``.
            **kwargs: Passed to ``STTService``.

        Raises:
            ConfigurationError: If model, location, languages and features do not go together.
        """
        defaults = self.Settings(
            language=None,
            languages=[Language.EN_US],
            language_codes=None,
            model="chirp_3",
            use_separate_recognition_per_channel=False,
            enable_automatic_punctuation=True,
            enable_spoken_punctuation=False,
            enable_spoken_emojis=False,
            profanity_filter=False,
            enable_word_time_offsets=False,
            enable_word_confidence=False,
            enable_interim_results=True,
            enable_voice_activity_events=False,
            adaptation=None,
            denoiser_config=None,
        )
        if settings is not None:
            defaults.apply_update(settings)
        # GoogleSTTService's own constructor makes a client from application default credentials; ours comes from
        # elsewhere, and nothing else it sets up is used.
        STTService.__init__(self, settings=defaults, **kwargs)
        self._wanted_location = location
        self._location = self._checked_location()
        self._client_for = make_client or partial(speech_client, environ=environ)
        self._project_id = project or ""
        self._channel = CloudChannel(self._make_client, client)

    @property
    def location(self) -> str:
        """The Google Cloud location in use."""
        return self._location

    async def probe(self, secs: float = PROBE_SECS) -> Probe:
        """Ask Speech-to-Text, before a talk, whether it would listen: a moment of silence on a stream as talks open it.

        Args:
            secs: How long that may take.

        Returns:
            What was found.

        Raises:
            ConfigurationError: Why it would not work, and what to do.
        """
        rate = self.sample_rate or PROBE_RATE
        async with self._channel.before_a_talk() as client:
            took = await probe_recognition(client, self._first_request(rate), rate, secs)
        languages = ", ".join(self._get_language_codes())
        line = f"Speech-to-Text answers: {self._settings.model} in {self._location}, listening for {languages}"
        return Probe(line, took)

    async def _update_settings(self, delta: GoogleSTTSettings) -> dict[str, Any]:  # type: ignore[override]
        """Apply changed settings: streams opened from now on use them.

        Args:
            delta: What changes.

        Returns:
            The changed fields and their previous values.
        """
        before, location = self._settings.copy(), self._location
        changed = await super()._update_settings(delta)
        try:
            self._location = self._checked_location()
        except ConfigurationError as e:
            self._settings = before
            await self.push_error(str(e))
            return {}
        if self._location != location:
            self._channel.replace()
        return changed

    def _renew_channel(self) -> None:
        if closing := self._channel.renew():
            self.create_task(closing, "stt_old_channel")

    def _checked_location(self) -> str:
        model = str(self._settings.model)
        check_languages(model, self._get_language_codes())
        check_features(model, [name for name in FEATURES if getattr(self._settings, name)])
        return resolve_location(model, self._wanted_location)

    def _get_language_codes(self) -> list[str]:
        languages = self._settings.languages if is_given(self._settings.languages) else []
        return [self._language_code(language) for language in languages] or super()._get_language_codes()

    def _language_code(self, language: Language | str) -> str:
        """The code Google uses; what is no ``Language`` (``auto``, ``cmn-Hans-CN``) goes as it is."""
        try:
            return self.language_to_service_language(Language(language))
        except ValueError:
            return str(language)

    def _language(self, code: str) -> Language | None:
        codes = self._get_language_codes()
        for candidate in (code, codes[0]):
            try:
                return Language(candidate)
            except ValueError:
                continue
        return None

    def _make_client(self) -> speech_v2.SpeechAsyncClient:
        client, self._project_id = self._client_for(self._location)
        return client

    def _first_request(self, sample_rate: int) -> cloud_speech.StreamingRecognizeRequest:
        adaptation = self._get_speech_adaptation()
        if adaptation is not None and not takes_adaptation(str(self._settings.model)):
            logger.warning("{}: the model {} takes no phrase hints.", self, self._settings.model)
            adaptation = None
        return cloud_speech.StreamingRecognizeRequest(
            recognizer=f"projects/{self._project_id}/locations/{self._location}/recognizers/_",
            streaming_config=streaming_config(
                self._settings,
                self._get_language_codes(),
                sample_rate,
                denoiser=self._get_denoiser_config(),
                adaptation=adaptation,
            ),
        )
