"""The names of a session folder's files."""

RECORDING = "conversation.wav"
EVENTS = "events.jsonl"
TRANSCRIPT = "transcript.md"
METRICS = "metrics.json"
REPORT = "report.html"
REPORT_SOUND = "report.mp3"
