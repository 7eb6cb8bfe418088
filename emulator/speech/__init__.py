"""Speech-to-Text v2."""
