"""The session folder: recording, events, transcript and metrics of one conversation."""
