"""The voice: Google Chirp 3 HD streaming text-to-speech, with the times at which its words are heard."""

from halfcascade.processors.chirp_tts.service import ChirpTTSService
from halfcascade.processors.chirp_tts.settings import Pronunciation

__all__ = ["ChirpTTSService", "Pronunciation"]
