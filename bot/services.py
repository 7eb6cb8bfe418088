"""Where a talk's clients of Google's services come from: the one seam at which they are recorded or replaced."""

from collections.abc import Mapping
from typing import Any, Protocol

from google import genai
from google.cloud import speech_v2, texttospeech_v1
from google.genai import types

from halfcascade.processors.gemini_live.connection import LiveConnection
from halfcascade.processors.google_clients import gemini_client, speech_client, texttospeech_client


class Services(Protocol):
    """Makes clients; hears what the microphone gives the pipeline, too."""

    def heard(self, audio: bytes) -> None:
        """Take what the ears are about to be given.

        Args:
            audio: 16-bit mono PCM at the pipeline's rate.
        """

    def speech(self, location: str) -> tuple[speech_v2.SpeechAsyncClient, str]:
        """Make a Speech-to-Text client.

        Args:
            location: Google Cloud location.

        Returns:
            The client, and the project for its recognizer paths.
        """

    def texttospeech(self, location: str | None) -> texttospeech_v1.TextToSpeechAsyncClient:
        """Make a Text-to-Speech client.

        Args:
            location: Region of the endpoint, or None for the global one.
        """

    def gemini(self) -> genai.Client:
        """Make a google-genai client."""

    async def open_live(self, client: genai.Client, model: str, config: types.LiveConnectConfig) -> Any:
        """Open a Live connection.

        Args:
            client: From ``gemini``.
            model: Model name.
            config: Setup.

        Returns:
            What has the methods of ``LiveConnection``.

        Raises:
            ConnectionRefused: If it is not opened.
        """


class GoogleServices:
    """Google's services, or those that the environment leads to.

    Args:
        environ: Variables that say which servers are talked to; None means this process's.
    """

    def __init__(self, environ: Mapping[str, str] | None = None):
        self._environ = environ

    def heard(self, audio: bytes) -> None:
        """Take what the ears are about to be given: nothing is done with it.

        Args:
            audio: 16-bit mono PCM.
        """

    def speech(self, location: str) -> tuple[speech_v2.SpeechAsyncClient, str]:
        """Make a Speech-to-Text client, and name its project (see ``Services``).

        Args:
            location: Google Cloud location.
        """
        return speech_client(location, self._environ)

    def texttospeech(self, location: str | None) -> texttospeech_v1.TextToSpeechAsyncClient:
        """Make a Text-to-Speech client.

        Args:
            location: Region of the endpoint, or None for the global one.
        """
        return texttospeech_client(location, self._environ)

    def gemini(self) -> genai.Client:
        """Make a google-genai client."""
        return gemini_client(self._environ)

    async def open_live(self, client: genai.Client, model: str, config: types.LiveConnectConfig) -> LiveConnection:
        """Open a Live connection (see ``Services``).

        Args:
            client: From ``gemini``.
            model: Model name.
            config: Setup.
        """
        return await LiveConnection.open(client, model, config)
