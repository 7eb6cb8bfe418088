"""Machinery of the ears: streams, their audio, and the words that come back."""
