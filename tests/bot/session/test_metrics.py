from halfcascade.bot.session.events import Event
from halfcascade.bot.session.metrics import Metrics, summary


def measured(*events) -> Metrics:
    metrics = Metrics()
    for t, type_, fields in events:
        metrics.apply(Event(t, type_, fields))
    return metrics


TURN = [
    (1.0, "user_started", {"speech_at": 0.8}),
    (3.0, "user_stopped", {"speech_at": 2.8}),
    (3.1, "final", {"text": "hello"}),
    (3.2, "turn_ended", {}),
    (3.25, "turn_sent", {"text": "hello", "turn": 1, "attempt": 1}),
    (3.6, "reply_text", {"text": "Hi"}),
    (3.7, "reply_text", {"text": " there"}),
    (3.8, "first_audio", {}),
    (3.81, "speaking_started", {}),
    (3.85, "sound_began", {}),
    (5.0, "usage", {"kind": "llm", "prompt_tokens": 10, "completion_tokens": 3}),
    (5.0, "usage", {"kind": "tts", "characters": 8}),
]


def test_each_stage_is_timed_from_the_end_of_speech():
    turn = measured(*TURN).as_dict()["turns"][0]
    assert turn["latency_ms"] == 1050
    assert turn["stages_ms"] == {
        "end_of_speech": 0,
        "final": 300,
        "turn_ended": 400,
        "turn_sent": 450,
        "first_text": 800,
        "first_audio": 1000,
        "speaking_started": 1010,
        "heard": 1050,
    }
    assert turn["usage"] == {"llm_completion_tokens": 3, "llm_prompt_tokens": 10, "tts_characters": 8}


def test_usage_before_the_first_turn_counts_for_the_session_only():
    metrics = measured((0.5, "usage", {"kind": "stt", "audio_seconds": 0.5}), *TURN).as_dict()
    assert metrics["usage"]["stt_audio_seconds"] == 0.5
    assert "stt_audio_seconds" not in metrics["turns"][0]["usage"]


def test_of_several_finals_and_pauses_the_last_before_the_turn_counts():
    earlier = [(0.5, "user_stopped", {"speech_at": 0.4}), (0.6, "final", {"text": "well"})]
    assert measured(*earlier, *TURN).turns[0].at["end_of_speech"] == 2.8


def test_a_turn_sent_before_speech_ended_is_timed_from_the_true_end():
    speculative = [(2.5, "turn_sent", {"text": "hello", "turn": 1, "attempt": 1}), *TURN[1:4], *TURN[5:]]
    assert measured(*speculative).turns[0].latency_ms == 1050


def test_speech_during_the_reply_belongs_to_the_next_turn():
    metrics = measured(
        *TURN,
        (6.0, "user_started", {"speech_at": 5.9}),
        (6.1, "interrupted", {}),
        (6.15, "sound_ended", {}),
        (7.0, "user_stopped", {"speech_at": 6.8}),
        (7.2, "turn_sent", {"text": "stop", "turn": 2, "attempt": 1}),
    )
    assert metrics.turns[0].latency_ms == 1050
    assert metrics.turns[0].interrupted
    assert metrics.turns[1].at["end_of_speech"] == 6.8
    assert metrics.as_dict()["interruptions"] == [{"speech_at": 5.9, "interrupted": 6.1, "silent": 6.15, "ms": 250}]


def test_a_resend_is_no_new_turn():
    assert len(measured(*TURN, (6.0, "turn_sent", {"text": "hello", "turn": 1, "attempt": 2})).turns) == 1


def test_a_turn_without_a_reply_has_no_latency():
    metrics = measured(*TURN[:5])
    assert metrics.turns[0].latency_ms is None
    assert metrics.as_dict()["latency_ms"] == {"n": 0}


def test_summaries():
    assert summary([]) == {"n": 0}
    assert summary([3, 1, 2]) == {"n": 3, "median": 2, "p90": 3, "max": 3}


def test_a_turn_that_was_sent_too_early_is_counted_once_with_its_costs():
    early = [
        (1.2, "turn_sent", {"text": "hel", "turn": 1, "attempt": 1}),
        (1.3, "usage", {"kind": "llm", "completion_tokens": 2}),
        (1.4, "turn_reopened", {"text": "hel"}),
    ]
    (turn,) = measured(*early, *TURN).as_dict()["turns"]
    assert turn["turn"] == 1
    assert turn["text"] == "hello"
    assert turn["latency_ms"] == 1050
    assert turn["usage"]["llm_completion_tokens"] == 5


def test_taking_a_turn_back_interrupts_no_other():
    sent = (8.0, "turn_sent", {"text": "and", "turn": 2, "attempt": 1})
    metrics = measured(*TURN, sent, (8.5, "turn_reopened", {"text": "and"}), (8.5, "interrupted", {}))
    assert [turn["interrupted"] for turn in metrics.as_dict()["turns"]] == [False]


def test_answers_asked_for_early_are_counted_and_a_withdrawn_one_is_no_turn():
    guess = [(1.1, "asked_early", {"text": "hel"}), (1.2, "turn_sent", {"text": "hel", "turn": 1, "attempt": 1})]
    withdrawn = [*guess, (1.3, "usage", {"kind": "tts", "characters": 12}), (1.4, "asked_too_early", {})]
    found = measured(*withdrawn, *withdrawn, *TURN).as_dict()
    assert found["asked_early"] == {
        "asked": 2,
        "withdrawn": 2,
        "usage_withdrawn": {"tts_characters": 24},
        "usd_withdrawn": 0,
    }
    assert [turn["text"] for turn in found["turns"]] == ["hello"]
    # Withdrawn before it was sent: the turn before it stays.
    found = measured(*TURN, (8.0, "asked_early", {"text": "and"}), (8.1, "asked_too_early", {})).as_dict()
    assert [turn["text"] for turn in found["turns"]] == ["hello"]
