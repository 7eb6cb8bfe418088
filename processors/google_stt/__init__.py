"""The ears: Google Speech-to-Text v2 streaming, asked for its final at the moment the user falls silent."""

from halfcascade.processors.google_stt.service import GoogleStreamingSTTService

__all__ = ["GoogleStreamingSTTService"]
