"""The text brain: a Gemini Live session that answers in text."""

from processors.gemini_live.options import SessionOptions
from processors.gemini_live.service import GeminiLiveTextProcessor
from processors.gemini_live.settings import GeminiLiveTextSettings

__all__ = ["GeminiLiveTextProcessor", "GeminiLiveTextSettings", "SessionOptions"]
