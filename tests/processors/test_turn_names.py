"""Every word of the user reaches the brain once and in order, whatever is late, overtaken, interrupted or taken back.

Turns and brain are the real ones, on a virtual clock; Gemini Live is a memory that resumes as the real one does.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.genai import types
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
    STTMetadataFrame,
    TranscriptionFrame,
    TTSTextFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from halfcascade.bot.replay import virtual_time
from halfcascade.processors.frames import SpeechCoveredFrame, TurnSentFrame
from halfcascade.processors.gemini_live import GeminiLiveTextProcessor
from halfcascade.processors.gemini_live.connection import ConnectionLost
from halfcascade.processors.gemini_live.protocol.wording import WITHDRAWAL_NOTE
from halfcascade.processors.turns import joining_aggregators
from halfcascade.processors.turns.barge_in import BargeInUserTurnStartStrategy
from halfcascade.processors.turns.smart_turn import SmartTurnStopStrategy
from halfcascade.processors.turns.speculation import Speculations
from halfcascade.processors.turns.words import turn_words
from tests.processors.turns.test_turns import RATE, Verdicts
from tests.running import running

ANSWER = "Certainly."
BLOCK_SECS = 0.02


class Memory:
    """What the model knows: messages of (role, text), saved under handles, gone on with from any of them."""

    def __init__(self, answer_secs: float):
        self.answer_secs = answer_secs
        self.saves = True
        self.messages: list[tuple[str, str]] = []
        self.saved: dict[str, list[tuple[str, str]]] = {}

    async def open(self, _client: Any, _model: str, config: types.LiveConnectConfig) -> "Connection":
        await asyncio.sleep(0.1)
        resumption = config.session_resumption
        handle = resumption.handle if resumption else None
        self.messages = list(self.saved[handle]) if handle else []
        self._newest = Connection(self)
        return self._newest

    def drop(self) -> None:
        """Lose the connection."""
        self._newest.lose()

    def user_words(self) -> list[str]:
        """Words that the model holds to be the user's: what is in brackets is not, nor what a note withdraws."""
        said: list[list[str]] = []
        for role, text in self.messages:
            if role != "user":
                continue
            lines = text.split("\n")
            if WITHDRAWAL_NOTE in lines:
                said.pop()
            said.append([word for line in lines if not line.startswith("[") for word in line.split()])
        return [word for words in said for word in words]


class Connection:
    """One connection to the memory."""

    def __init__(self, memory: Memory):
        self._memory = memory
        self._out: asyncio.Queue[types.LiveServerMessage | None] = asyncio.Queue()
        self._answering: asyncio.Task[None] | None = None

    async def messages(self) -> AsyncIterator[types.LiveServerMessage]:
        while (message := await self._out.get()) is not None:
            yield message
        raise ConnectionLost(1000, "")

    async def send_content(self, contents: Sequence[types.Content], *, complete: bool) -> None:
        for content in contents:
            text = "\n".join(str(part.text) for part in content.parts or ())
            self._memory.messages.append((content.role or "user", text))
        if not complete:
            return
        was_answering = self._answering is not None and not self._answering.done()
        if self._answering is not None and was_answering:
            self._answering.cancel()
            self._say(serverContent={"interrupted": True})
            self._say(serverContent={"turnComplete": True})
        if contents:
            self._answering = asyncio.create_task(self._answer())
        elif not was_answering:
            self._say(serverContent={"turnComplete": True})

    async def send_text(self, text: str) -> None:
        await self.send_content([types.Content(role="user", parts=[types.Part(text=text)])], complete=True)

    async def ping(self) -> bool:
        return True

    async def close(self, secs: float = 1.0) -> bool:
        self.lose()
        return True

    def lose(self) -> None:
        if self._answering is not None:
            self._answering.cancel()
        self._out.put_nowait(None)

    async def _answer(self) -> None:
        await asyncio.sleep(self._memory.answer_secs)
        self._memory.messages.append(("model", ANSWER))
        self._say(serverContent={"outputTranscription": {"text": ANSWER}})
        self._say(serverContent={"generationComplete": True})
        self._say(serverContent={"turnComplete": True})
        if not self._memory.saves:
            return
        handle = str(len(self._memory.saved))
        self._memory.saved[handle] = list(self._memory.messages)
        self._say(sessionResumptionUpdate={"newHandle": handle, "resumable": True})

    def _say(self, **fields: Any) -> None:
        self._out.put_nowait(types.LiveServerMessage.model_validate(fields))


class Voice(FrameProcessor):
    """Speaks what the brain says: it is heard after a while, for a second, unless it is interrupted."""

    def __init__(self, latency: float):
        super().__init__()
        self._latency = latency
        self._text = ""
        self._speaking: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            self._text = ""
            if self._speaking is not None:
                self._speaking.cancel()
                await asyncio.gather(self._speaking, return_exceptions=True)
        elif isinstance(frame, LLMTextFrame):
            self._text += frame.text
            return
        elif isinstance(frame, LLMFullResponseEndFrame) and self._text:
            self._speaking = asyncio.create_task(self._speak(self._text, frame))
            self._text = ""
            return
        await self.push_frame(frame, direction)

    async def _speak(self, text: str, end: LLMFullResponseEndFrame) -> None:
        await asyncio.sleep(self._latency)
        await self.broadcast_frame(BotStartedSpeakingFrame)
        try:
            spoken = TTSTextFrame(text, text_type="sentence")
            spoken.append_to_context = True
            await self.push_frame(spoken)
            await asyncio.sleep(1.0)
            await self.push_frame(end)
        finally:
            await self.broadcast_frame(BotStoppedSpeakingFrame)


class Source(FrameProcessor):
    """Where the ears would be; keeps what the brain says it has sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[TurnSentFrame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TurnSentFrame):
            self.sent.append(frame)
        await self.push_frame(frame, direction)


@dataclass(frozen=True)
class Speech:
    """Something that the user says.

    Parameters:
        gap: Seconds of silence before it.
        secs: How long it lasts.
        delays: Of its finals, in seconds after its end; none for a mere sound.
    """

    gap: float
    secs: float
    delays: tuple[float, ...]


@dataclass
class Talk:
    """A talk, and what came of it."""

    speeches: Sequence[Speech]
    verdict: float = 0.95
    answer_secs: float = 0.5
    voice_secs: float = 0.3
    early: bool = False
    words: list[str] = field(default_factory=list)
    sent: list[TurnSentFrame] = field(default_factory=list)
    context: list[Any] = field(default_factory=list)
    memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        self.memory = Memory(self.answer_secs)

    def events(self) -> list[tuple[float, Frame]]:
        """What the ears push, and when: finals in order, as they guarantee."""
        found: list[tuple[float, Frame]] = []
        spans: list[tuple[float, float]] = []
        # When it comes, its words, and when the speech began that it is of.
        finals: list[tuple[float, str, float]] = []
        at = before = 0.5
        for number, speech in enumerate(self.speeches):
            at += speech.gap
            began = at
            spans.append((began, began + speech.secs + 0.2))
            found.append((at + 0.2, VADUserStartedSpeakingFrame(start_secs=0.2)))
            if self.early:
                found.append((at + 0.2, EagerEndOfTurnCancelFrame()))
            found.append((at + speech.secs + 0.2, VADUserStoppedSpeakingFrame(stop_secs=0.2)))
            at += speech.secs
            for part, delay in enumerate(speech.delays or (0.3,)):
                before = max(before, at + delay + 0.2)
                text = " ".join(f"w{number}x{part}x{word}" for word in range(3)) if speech.delays else ""
                finals.append((before, text, began))
                self.words += text.split()
        for index, (when, text, _) in enumerate(finals):
            speaking = any(begin < when < end for begin, end in spans)
            # Nothing that was said by now is still to come.
            finalized = not speaking and not any(began < when for _, _, began in finals[index + 1 :])
            if text:
                found.append((when, InterimTranscriptionFrame(text, "", "")))
                if self.early and finalized:
                    found.append((when - 0.1, EagerTranscriptionFrame(text, "", "")))
                frame = TranscriptionFrame(text, "", "", finalized=finalized)
                frame.interruptible = False
                found.append((when, frame))
            elif finalized:
                found.append((when, SpeechCoveredFrame()))
        return sorted(found, key=lambda entry: entry[0])

    async def hold(self) -> None:
        events = self.events()
        context, source = LLMContext(), Source()
        words = turn_words("en-US")
        strategies = UserTurnStrategies(
            start=[BargeInUserTurnStartStrategy(words=words)],
            stop=[
                SmartTurnStopStrategy(
                    turn_analyzer=Verdicts(self.verdict),
                    words=words,
                    speculations=Speculations(most=1000.0) if self.early else None,
                )
            ],
        )
        user, assistant = joining_aggregators(
            context, user_params=LLMUserAggregatorParams(user_turn_strategies=strategies)
        )
        brain = GeminiLiveTextProcessor(object(), context=context, opener=self.memory.open)
        worker = PipelineWorker(
            Pipeline([source, user, brain, Voice(self.voice_secs), assistant]),
            cancel_on_idle_timeout=False,
            enable_rtvi=False,
            params=PipelineParams(audio_in_sample_rate=RATE),
        )
        loop = asyncio.get_running_loop()
        async with running(worker, 60.0):
            await source.queue_frame(STTMetadataFrame(service_name="ears", ttfs_p99_latency=2.0))
            began = loop.time()
            for when, frame in events:
                while loop.time() < began + when - BLOCK_SECS:
                    await asyncio.sleep(BLOCK_SECS)
                    await source.queue_frame(InputAudioRawFrame(bytes(round(2 * RATE * BLOCK_SECS)), RATE, 1))
                await source.queue_frame(frame)
            await asyncio.sleep(20.0)
            self.sent, self.context = list(source.sent), list(context.get_messages())


def check(talk: Talk) -> None:
    virtual_time.run(talk.hold())
    shown = [word for message in talk.context if message["role"] == "user" for word in message["content"].split()]
    assert shown == talk.words
    assert talk.memory.user_words() == talk.words
    for frame in talk.sent:
        assert set(frame.text.split()) <= set(talk.words)
    # Whatever is said last is answered, and the answer is heard.
    assert not talk.words or talk.context[-1]["role"] == "assistant"


GAPS = st.sampled_from((0.25, 0.6, 1.2, 2.5, 6.0))
DELAYS = st.lists(st.sampled_from((0.1, 0.3, 1.0, 3.0, 6.0)), max_size=3).map(sorted).map(tuple)
SPEECHES = st.builds(Speech, GAPS, st.sampled_from((0.3, 1.0, 2.5)), DELAYS)


TALKS = st.builds(
    Talk,
    st.lists(SPEECHES, min_size=1, max_size=4),
    st.sampled_from((0.2, 0.6, 0.95)),
    st.sampled_from((0.05, 0.5, 2.0)),
    st.sampled_from((0.05, 0.3, 1.5)),
    st.booleans(),
)


# Asked early, over, gone on with before the answer, asked early again.
@example(Talk([Speech(0.6, 1.0, (0.3,)), Speech(1.2, 1.0, (0.3,))], 0.95, 2.0, early=True))
# Finals of three sentences that come in one go, seconds late, while the user has gone on.
@example(Talk([Speech(0.6, 1.0, (3.0, 3.0, 3.0)), Speech(0.6, 1.0, (0.1,))]))
@given(TALKS)
@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_each_word_reaches_the_brain_once_and_in_order(talk):
    check(talk)


@pytest.mark.slow
@given(TALKS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_each_word_reaches_the_brain_in_many_talks(talk):
    check(talk)
