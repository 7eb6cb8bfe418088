"""Machinery of the voice: from reply text to paced pieces of speech."""
