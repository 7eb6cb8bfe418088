"""The names of a session folder's files."""

EVENTS = "events.jsonl"
TRANSCRIPT = "transcript.md"
METRICS = "metrics.json"
REPORT = "report.html"
REPORT_SOUND = "report.mp3"
SERVICES = "services.jsonl"
SERVICES_AUDIO = "services.audio"
