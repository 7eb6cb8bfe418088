"""Session folders made without a talk."""

import json
from pathlib import Path

import numpy as np
import soundfile

EVENTS = [
    {"t": 0.0, "type": "session_started", "started": "2026-11-20T10:00:00+01:00", "language": "en-US",
     "model": "gemini-3.8-live", "voice": "en-US-Chirp3-HD-Charon", "settings": {"stt_model": "chirp_3"}},
    {"t": 0.0, "type": "backend", "backend": "google", "reason": "you asked for it"},
    {"t": 1.2, "type": "user_started", "speech_at": 1.0},
    {"t": 1.2, "type": "turn_started"},
    {"t": 1.5, "type": "interim", "text": "what time"},
    {"t": 2.2, "type": "user_stopped", "speech_at": 2.0},
    {"t": 2.3, "type": "final", "text": "What time is it?", "language": "en-US"},
    {"t": 2.3, "type": "usage", "kind": "stt", "audio_seconds": 1.5},
    {"t": 2.31, "type": "turn_ended"},
    {"t": 2.32, "type": "turn_sent", "text": "What time is it?", "turn": 1, "attempt": 1},
    {"t": 2.5, "type": "tool_call", "name": "clock", "id": "1", "arguments": {}},
    {"t": 2.5, "type": "tool_result", "name": "clock", "id": "1", "result": {"time": "10:00"}},
    {"t": 2.6, "type": "reply_started"},
    {"t": 2.6, "type": "reply_text", "text": "It is ten o'clock, and all is well."},
    {"t": 2.7, "type": "reply_ended"},
    {"t": 2.8, "type": "first_audio"},
    {"t": 2.85, "type": "speaking_started"},
    {"t": 2.9, "type": "sound_began"},
    {"t": 3.0, "type": "heard", "text": "It"},
    {"t": 3.2, "type": "heard", "text": " is"},
    {"t": 3.4, "type": "heard", "text": " ten"},
    {"t": 3.5, "type": "usage", "kind": "llm", "prompt_tokens": 100, "completion_tokens": 220,
     "total_tokens": 320, "output_audio_tokens": 200},
    {"t": 3.5, "type": "usage", "kind": "tts", "characters": 35},
    {"t": 3.6, "type": "user_started", "speech_at": 3.4},
    {"t": 3.61, "type": "interrupted"},
    {"t": 3.65, "type": "sound_ended"},
    {"t": 3.66, "type": "speaking_stopped"},
    {"t": 4.0, "type": "user_stopped", "speech_at": 3.9},
    {"t": 4.1, "type": "final", "text": "Thanks.", "language": "en-US"},
    {"t": 4.2, "type": "turn_sent", "text": "Thanks.", "turn": 2, "attempt": 1},
    {"t": 5.0, "type": "error", "message": "The network was slow.", "source": "x", "permanent": False},
    {"t": 6.0, "type": "session_ended", "reason": "Ctrl-C"},
]  # fmt: skip


def make_folder(folder: Path, events=EVENTS, *, seconds: float = 6.0) -> Path:
    """Write a session folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    if seconds:
        times = np.arange(round(seconds * 24_000)) / 24_000
        left = 0.3 * np.sin(2 * np.pi * 220 * times) * ((times > 1.0) & (times < 2.0))
        right = 0.5 * np.sin(2 * np.pi * 330 * times) * ((times > 2.9) & (times < 3.65))
        soundfile.write(folder / "conversation.wav", np.stack([left, right], axis=1), 24_000, subtype="PCM_16")
    return folder


def long_talk(folder: Path, seconds: float, every: float = 12.0) -> Path:
    """A session folder of many turns like the first."""
    events = [EVENTS[0], EVENTS[1]]
    for number in range(int(seconds / every)):
        for event in EVENTS[2:-2]:
            moved = {**event, "t": round(event["t"] + number * every, 3)}
            if "speech_at" in moved:
                moved["speech_at"] += number * every
            events.append(moved)
    return make_folder(folder, [*events, {"t": seconds, "type": "session_ended", "reason": "Ctrl-C"}], seconds=0)
