"""Documents that grow say the same as those written whole, and cost the same at any length."""

import json
import time

from halfcascade.bot.money import Models, load_tariff
from halfcascade.bot.session.documents import MetricsDocument, TranscriptDocument
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.session.markdown import render
from halfcascade.bot.session.redaction import Redactor


def turn(hub: EventHub, number: int) -> None:
    at = number * 10.0
    for after, kind, fields in [
        (0.2, "user_started", {"speech_at": at}),
        (1.2, "user_stopped", {"speech_at": at + 1.0}),
        (1.3, "final", {"text": f"question {number}"}),
        (1.31, "turn_ended", {}),
        (1.32, "turn_sent", {"text": f"question {number}", "turn": number, "attempt": 1}),
        (1.5, "reply_started", {}),
        (1.5 + number % 7 / 10, "reply_text", {"text": f"answer {number} " * 20}),
        (1.6, "reply_ended", {}),
        (1.7, "first_audio", {}),
        (1.8, "speaking_started", {}),
        (1.9, "sound_began", {}),
        (2.0, "heard", {"text": f"answer {number}"}),
        (2.5, "usage", {"kind": "llm", "prompt_tokens": 10, "completion_tokens": 20, "output_audio_tokens": 15}),
        (3.0, "interrupted" if number % 3 == 0 else "heard", {"text": " more"}),
        (3.1, "sound_ended", {}),
        (3.2, "speaking_stopped", {}),
    ]:
        hub._take(kind, at + after, fields)


def whole(hub: EventHub, title: dict) -> dict:
    return {"session": title, **hub.metrics.as_dict(), "transport": {"underruns": 0}}


async def test_what_grows_says_what_is_written_whole():
    hub = EventHub(Redactor())
    hub.clock.start(0.0)
    hub.metrics.tariff = load_tariff(Models("chirp_3", "gemini-3.8-live", "en-US-Chirp3-HD-Charon"))
    transcript, metrics = TranscriptDocument(hub.transcript), MetricsDocument(hub.metrics)
    title = {"language": "en-US", "odd": '"turns"'}
    for number in range(1, 60):
        turn(hub, number)
        written = json.loads(metrics.text(title, {"underruns": 0}))
        assert written == json.loads(
            json.dumps({"session": title, **hub.metrics.as_dict(), "transport": {"underruns": 0}})
        )
        assert transcript.text(title).rstrip() == render(hub.transcript, title).rstrip()


async def test_two_thousand_turns_cost_an_event_what_the_first_did():
    hub = EventHub(Redactor())
    hub.clock.start(0.0)
    transcript, metrics = TranscriptDocument(hub.transcript), MetricsDocument(hub.metrics)
    for number in range(1, 2_001):
        turn(hub, number)
        if number % 100 == 0:
            transcript.text({})
            metrics.text({}, {})
    took = []
    for number in range(2_001, 2_031):
        turn(hub, number)
        begun = time.thread_time()
        transcript.text({})
        metrics.text({}, {})
        took.append(time.thread_time() - begun)
    # Well below what writing all of it takes; the figure itself is in bench/README.md.
    assert sorted(took)[len(took) // 2] < 0.03
