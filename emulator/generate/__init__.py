"""Gemini without a session: ``generateContent`` and what belongs to it, over HTTP."""
