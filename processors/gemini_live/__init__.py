"""The text brain: a Gemini Live session that answers in text."""

from halfcascade.processors.gemini_live.builtin_tools import builtin_tools
from halfcascade.processors.gemini_live.mcp_tools import mcp_tools
from halfcascade.processors.gemini_live.protocol.options import SessionOptions
from halfcascade.processors.gemini_live.service import GeminiLiveTextProcessor
from halfcascade.processors.gemini_live.settings import GeminiLiveTextSettings

__all__ = ["GeminiLiveTextProcessor", "GeminiLiveTextSettings", "SessionOptions", "builtin_tools", "mcp_tools"]
