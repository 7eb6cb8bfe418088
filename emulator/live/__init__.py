"""Gemini Live (``BidiGenerateContent``): the protocol's rules as state machines under a thin websocket shell."""
