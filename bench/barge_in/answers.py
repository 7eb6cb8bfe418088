"""How often "yes", said over the end of the bot's question, is taken as an answer; and in mid-story, as none.

python -m bench.barge_in.answers

The barge-in strategy hears words alone: the sound of "yes" says nothing, the recognizer's final comes late, as the
``reference`` profile has it. The bot says each reply at 15 characters a second; the user begins to answer 0.6 s before
its end, or later. In mid-story they say the same into the middle of a statement.
"""

import asyncio
import json
import sys
from collections import Counter
from typing import Any

import numpy as np
from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    UserBackchannelFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.turns.types import ProcessFrameResult

from halfcascade.processors.frames import SpeechOnsetFrame, SpeechPausedFrame
from halfcascade.processors.language import turn_words
from halfcascade.processors.turns.barge_in import BargeInUserTurnStartStrategy
from halfcascade.processors.turns.barge_in_judge import BargeInParams
from halfcascade.processors.turns.bot_speech import BotSpeech

RATE = 16_000
_BLOCK_SECS = 0.05
_CHARACTERS_PER_SEC = 15.0
_BEFORE_END_SECS = (0.6, 0.4, 0.2, 0.0, -0.2)
# What is behind the last word of a reply until the loudspeaker is silent.
_TAIL_SECS = 0.25
# Of an answer: its length, when it is noticed, when its end is, and when its words come.
_SECS, _ONSET_SECS, _STARTED_SECS, _PAUSED_SECS, _STOPPED_SECS, _FINAL_SECS = 0.35, 0.06, 0.2, 0.09, 0.2, 0.29

QUESTIONS = {
    "en-US": [
        "Shall I book it for Tuesday?",
        "It is free at ten. Does that work for you?",
        "Do you want me to read it again?",
        "I found three hotels near the station. Would you like to hear about them?",
        "You wanted the early train, right?",
        "Are you calling about the order from last week?",
        "Should I turn off the lights in the kitchen as well?",
        "The table is for four people, isn't it?",
        "Is that the address you mean?",
        "Can I help you with anything else?",
        "It costs forty dollars. Is that okay?",
        "Did you mean Springfield in Illinois?",
        "So you have been there before?",
        "The next one leaves at noon. Shall we take that one?",
        "Have you tried switching it off and on again?",
        "Would a window seat be fine?",
        "Do you remember when we talked about the garden?",
        "Ready for the next question?",
        "I can send it by e-mail. Do you want that?",
        "You said Friday. Is the evening all right?",
    ],
    "ko-KR": [
        "화요일로 예약해 드릴까요?",
        "열 시에 자리가 있어요. 괜찮으세요?",
        "다시 읽어 드릴까요?",
        "역 근처에 호텔이 세 곳 있어요. 들어 보시겠어요?",
        "아침 기차를 원하셨죠?",
        "지난주 주문 때문에 전화하셨나요?",
        "부엌 불도 끌까요?",
        "네 분이 맞으시죠?",
        "이 주소가 맞습니까?",
        "더 도와드릴 일이 있나요?",
        "사만 원이에요. 괜찮을까요?",
        "부산역 말씀이신가요?",
        "거기 가 보신 적이 있으세요?",
        "다음 버스는 열두 시에 떠나요. 그걸로 할까요?",
        "껐다가 다시 켜 보셨어요?",
        "창가 자리도 괜찮으세요?",
        "정원 이야기 했던 거 기억나세요?",
        "다음 문제로 넘어갈까요?",
        "메일로 보내 드릴 수 있어요. 그렇게 할까요?",
        "금요일이라고 하셨는데 저녁도 괜찮아요?",
    ],
}
STATEMENTS = {
    "en-US": [
        "The museum was built in eighteen ninety and it has been open to the public ever since.",
        "First you melt the butter, then you add the flour and stir it for about two minutes.",
        "Do you know the old mill? It stands at the river, and a family of storks lives on its roof every summer.",
    ],
    "ko-KR": [
        "그 박물관은 백 년 전에 지어졌고 지금까지 많은 사람들이 찾아오는 곳이에요.",
        "먼저 버터를 녹이고 밀가루를 넣은 다음에 이 분 정도 천천히 저어 주세요.",
        "옛날 방앗간을 아세요? 강가에 서 있는데 여름마다 지붕 위에 황새 가족이 살아요.",
    ],
}
ANSWERS = {
    "en-US": ["Yes.", "Yeah.", "Sure.", "Right.", "Okay.", "Yes, of course.", "That's right."],
    "ko-KR": ["네.", "예.", "응.", "그래요.", "맞아요.", "네, 좋아요.", "그럼요."],
}


class _Listener(BargeInUserTurnStartStrategy):
    """The strategy outside any pipeline: notes what comes of the words."""

    outcome = ""

    async def push_frame(self, frame: Frame, *_: Any) -> None:
        if isinstance(frame, UserBackchannelFrame):
            self.outcome = "backchannel"

    async def trigger_reset_aggregation(self) -> None:
        pass

    async def _start_turn(self) -> ProcessFrameResult:
        self.outcome = "answer"
        return ProcessFrameResult.STOP


async def hear(language: str, reply: str, answer: str, at: float) -> str:
    """Let the bot say a reply and the user an answer.

    Args:
        language: Locale.
        reply: The bot's.
        answer: The user's.
        at: When the user begins, in seconds after the bot began.

    Returns:
        ``answer``, ``backchannel``, or nothing if the words led to neither.
    """
    speech = BotSpeech()
    listener = _Listener(words=turn_words(language), params=BargeInParams(looks=()), bot_speech=speech)
    speech.begin()
    speech.wrote(reply)
    ends = np.cumsum([len(word) + 1 for word in reply.split()]) / _CHARACTERS_PER_SEC
    said = at + _SECS
    events: list[tuple[float, Any]] = [
        (0.0, BotStartedSpeakingFrame()),
        *zip(ends.tolist(), reply.split(), strict=True),
        (float(ends[-1]) + _TAIL_SECS, BotStoppedSpeakingFrame()),
        (at + _ONSET_SECS, SpeechOnsetFrame(_ONSET_SECS)),
        (at + _STARTED_SECS, VADUserStartedSpeakingFrame(start_secs=_STARTED_SECS)),
        (said + _PAUSED_SECS, SpeechPausedFrame(_PAUSED_SECS)),
        (said + _STOPPED_SECS, VADUserStoppedSpeakingFrame(stop_secs=_STOPPED_SECS)),
        (said + _FINAL_SECS, TranscriptionFrame(answer, "", "", finalized=True)),
    ]
    block = bytes(round(_BLOCK_SECS * RATE) * 2)
    last = max(when for when, _ in events)
    sound = [(when, InputAudioRawFrame(block, RATE, 1)) for when in np.arange(0.0, last, _BLOCK_SECS).tolist()]
    for _, event in sorted([*events, *sound], key=lambda one: one[0]):
        if isinstance(event, str):
            speech.heard(event)
        else:
            await listener.process_frame(event)
        if listener.outcome:
            break
    return listener.outcome


async def measure() -> dict[str, Any]:
    """Ask all questions, answer each in every way at every moment."""
    found: dict[str, Any] = {}
    for language, questions in QUESTIONS.items():
        asked: Counter[str] = Counter()
        told: Counter[str] = Counter()
        for answer in ANSWERS[language]:
            for question in questions:
                end = (len(question) + 1) / _CHARACTERS_PER_SEC
                for before in _BEFORE_END_SECS:
                    asked[await hear(language, question, answer, max(0.1, end - before))] += 1
            for statement in STATEMENTS[language]:
                middle = 0.6 * len(statement) / _CHARACTERS_PER_SEC
                told[await hear(language, statement, answer, middle)] += 1
        found[language] = {
            "over the end of a question": dict(asked),
            "taken as an answer": round(asked["answer"] / asked.total(), 3),
            "in mid-story": dict(told),
        }
    return found


def main() -> int:
    """Measure."""
    logger.remove()
    print(json.dumps({"bench": "barge_in.answers", **asyncio.run(measure())}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
