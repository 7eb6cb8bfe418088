import pytest

from halfcascade.bot.finish import PATIENCE_SECS, SETTLE_SECS, TIMEOUT_SECS, EndOfConversation
from halfcascade.bot.session.events import Event, EventType


def after(*types, fields=None):
    finish = EndOfConversation()
    for type_ in types:
        name, _, text = type_.partition(":")
        given = {"text": text or "words"} if name in ("final", "reply_text", "turn_sent", "interim", "heard") else {}
        given |= {"id": "1"} if name.startswith("tool_") else {}
        finish.apply(Event(0.0, name, given), now=100.0)
    return finish


TURN = ["user_started", "turn_started", "user_stopped", "final", "turn_ended"]
ANSWERED = ["turn_sent", "reply_started", "reply_text", "speaking_started", "reply_ended", "speaking_stopped"]
OVER = "user_audio_finished"


def test_it_does_not_end_while_the_recording_plays():
    assert not after(*TURN).over(100.0 + 1000)


@pytest.mark.parametrize(
    "under_way",
    [
        ["user_started"],
        TURN,
        [*TURN, "turn_sent"],
        [*TURN, "turn_sent", "reply_started"],
        [*TURN, "turn_sent", "reply_started", "reply_text", "reply_ended"],
        [*TURN, "turn_sent", "reply_started", "reply_ended", "tool_call"],
        [*TURN, "turn_sent", "reply_started", "tool_call", "reply_ended", "tool_result"],
    ],
)
def test_it_waits_for_what_is_under_way_but_not_for_ever(under_way):
    finish = after(*under_way, OVER)
    assert not finish.over(100.0 + SETTLE_SECS + 1)
    assert finish.over(100.0 + TIMEOUT_SECS)
    assert finish.unanswered


@pytest.mark.parametrize(
    "done",
    [
        [],
        ["user_started", "turn_started", "user_stopped", "turn_ended"],
        [*TURN, "turn_sent", "reply_started", "reply_text", "speaking_started", "reply_ended", "speaking_stopped"],
        [*TURN, "turn_sent", "reply_started", "reply_text", "interrupted", *TURN, "backchannel"],
        [*TURN, "turn_sent", "reply_started", "tool_call", "reply_ended", "tool_cancelled"],
        [*TURN, "turn_sent", "reply_started", "reply_text: ", "reply_ended"],
    ],
)
def test_it_ends_soon_after_everything_is_done(done):
    finish = after(*done, OVER)
    assert not finish.over(100.0 + SETTLE_SECS - 0.1)
    assert finish.over(100.0 + SETTLE_SECS)
    assert not finish.unanswered


def test_a_bot_whose_last_sound_ended_untold_is_waited_for_but_has_answered():
    finish = after(*TURN, "turn_sent", "reply_started", "reply_text", "reply_ended", "speaking_started", OVER)
    assert not finish.over(100.0 + SETTLE_SECS + 1)
    assert finish.over(100.0 + TIMEOUT_SECS)
    assert not finish.unanswered


@pytest.mark.parametrize(
    "events",
    [
        [*TURN, *ANSWERED, "final"],
        ["user_started", "turn_started", "user_stopped", "turn_sent", "final", "turn_ended", *ANSWERED[1:]],
    ],
    ids=["after its turn", "after its turn was asked early"],
)
def test_words_that_come_late_are_waited_for_but_are_no_failure(events):
    finish = after(*events, OVER)
    assert not finish.over(100.0 + SETTLE_SECS + 1)
    assert finish.over(100.0 + TIMEOUT_SECS)
    assert not finish.unanswered


def test_a_turn_that_was_never_answered_is_known_although_a_later_one_was():
    def talk(gap, *between):
        finish = EndOfConversation()
        for number, type_ in enumerate([*TURN, "turn_sent", *between, *TURN, *ANSWERED, OVER]):
            text = {"final": {"text": "words"}, "turn_sent": {"text": "words"}, "reply_text": {"text": "words"}}
            finish.apply(Event(0.0, type_, text.get(type_, {})), now=100.0 + (gap if number > len(TURN) else 0.0))
        assert finish.over(100.0 + gap + SETTLE_SECS) or finish.unanswered
        return finish.unanswered

    assert talk(PATIENCE_SECS + 1.0) == ["1 turns passed over"]
    assert not talk(PATIENCE_SECS - 1.0), "the user gave it no time"
    assert not talk(PATIENCE_SECS + 1.0, "turn_reopened"), "the user went on with it"
    assert not talk(PATIENCE_SECS + 1.0, "reply_started", "reply_text", "interrupted")


def test_it_knows_whether_anything_was_understood():
    deaf = after("user_started", "user_stopped", OVER)
    assert (deaf.spoken, deaf.understood) == (True, False)
    assert after(*TURN, "turn_sent").understood
    assert after("user_started", "final", "backchannel", OVER).understood
    assert not after("user_started", "final: ", OVER).understood


def test_each_sign_of_life_renews_its_timeout():
    finish = after(*TURN, "turn_sent", "reply_started", "reply_text", "speaking_started", OVER)
    finish.apply(Event(0.0, "heard", {"text": "on"}), now=120.0)
    assert not finish.over(120.0 + TIMEOUT_SECS - 1)


def test_speech_that_was_given_up_is_known_at_the_end():
    end = EndOfConversation()
    end.apply(Event(1.0, EventType.SPEECH_LOST, {"secs": 2.5}), 1.0)
    end.apply(Event(2.0, EventType.SPEECH_LOST, {"secs": 1.0}), 2.0)
    assert end.lost_secs == 3.5
