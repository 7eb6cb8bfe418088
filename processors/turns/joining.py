"""One turn, although it seemed to be over: what the user adds before the bot has said much belongs to it."""

import time
from dataclasses import replace
from typing import Any

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    EagerEndOfTurnCancelFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
    LLMContextFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.aggregators.llm_response_universal import (
    LLMAssistantAggregator,
    LLMAssistantAggregatorParams,
    LLMUserAggregator,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.turns.types import UserTurnSpeculation
from pipecat.turns.user_stop import NormalizedMatch
from pipecat.turns.user_turn_controller import UserTurnController

from halfcascade.processors.frames import (
    EARLY,
    TURN,
    SpeechOnsetFrame,
    SpeechPausedFrame,
    TurnConfirmedFrame,
    TurnReopenedFrame,
)
from halfcascade.processors.language import join_text
from halfcascade.processors.turns.responses import Responses
from halfcascade.processors.turns.smart_turn import SmartTurnStopStrategy

JOIN_SECS = 5.0
"""How long after its end a turn may be taken up again."""

_CALLS = (
    FunctionCallsStartedFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallCancelFrame,
)

_SAME_WORDS = NormalizedMatch()

TALKED_INTO_SECS = 1.0
"""For how long after the bot's first sound somebody who speaks is taken to go on, talked into while they paused."""


def joining_aggregators(
    context: LLMContext,
    *,
    user_params: LLMUserAggregatorParams | None = None,
    assistant_params: LLMAssistantAggregatorParams | None = None,
) -> tuple["JoiningUserAggregator", "JoiningAssistantAggregator"]:
    """Make the two ends of a conversation, in place of Pipecat's ``LLMContextAggregatorPair``.

    Args:
        context: The conversation.
        user_params: For the user's end.
        assistant_params: For the bot's end.

    Returns:
        The user aggregator and the assistant aggregator. The context is written when turns end, whatever services say.
    """
    responses = Responses()
    user = JoiningUserAggregator(context, params=user_params, responses=responses, _realtime_service_mode=False)
    assistant = JoiningAssistantAggregator(
        context,
        params=assistant_params,
        responses=responses,
        _realtime_service_mode=False,
        _paired_user_aggregator=user,
    )
    return user, assistant


class JoiningUserAggregator(LLMUserAggregator):
    """Pipecat's user aggregator, which takes a turn back when the user goes on with it.

    Whoever pauses for breath is taken to have finished, now and then: neither sound nor words of "Hello, my name is
    Daniel" tell that more is to come. Until the bot is heard the user cannot know that they were understood so, and
    for a moment after that they have not taken in what it says: what they go on to say is no new turn, and what the bot
    had begun to say counts as not said. The message of the turn is taken out of the context again, a
    ``TurnReopenedFrame`` goes ahead of the interruption so that the brain forgets it too, and the turn ends anew, all
    its words in one message.

    What counts is when the user went on, not when that was noticed: the bot may have begun to speak in between. A sound
    without words sends the same turn once more, so that a cough does not cost the answer.

    A question that is asked early holds all words of the turn, those before it was taken up again included, and is kept
    only if the turn ends with the same ones. Questions, their withdrawals and ends of turns are named (``TURN``,
    ``EARLY``), since they overtake each other.

    A turn without words asks the brain to recover (``EmptyUserTurnConfig.interrupted_prompt``) only if it cut a
    response off. Pipecat takes a bot for busy until it has been heard, so that noise would make it speak first.
    """

    def __init__(
        self,
        context: LLMContext,
        *,
        params: LLMUserAggregatorParams | None = None,
        responses: Responses | None = None,
        **kwargs: Any,
    ):
        """Begin with no turn.

        Args:
            context: The conversation.
            params: For ``LLMUserAggregator``.
            responses: What the bot is about, shared with its end of the conversation.
            **kwargs: For ``LLMUserAggregator``.
        """
        params = params or LLMUserAggregatorParams()
        self._empty_turn = params.empty_user_turn
        # Its prompts are set as each turn starts: Pipecat's choice between them is made by less than is known here.
        self._recovery = replace(self._empty_turn) if self._empty_turn else None
        self._responses = responses or Responses()
        super().__init__(context, params=replace(params, empty_user_turn=self._recovery), **kwargs)
        self._ended: LLMContextMessage | None = None
        self._ended_parts: list[Any] = []
        self._ended_at = 0.0
        # Name of the newest turn that ended, and whether a context frame is being pushed for it.
        self._turn = 0
        self._ending = False
        # The newest question that was asked early: its number and words, and whether it may still be right.
        self._early = 0
        self._early_text = ""
        self._early_stands = False
        # Words of the turn before it was taken up again.
        self._revoked = ""
        # Since the turn ended: when the user began to speak, and when the bot did.
        self._speech_at: float | None = None
        self._bot_at: float | None = None
        # A sound that may be speech.
        self._onset_at: float | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take note of who is heard since when.

        Args:
            frame: Any frame.
            direction: Where it goes.
        """
        now = time.monotonic()
        match frame:
            case SpeechOnsetFrame():
                self._onset_at = now - frame.secs
            case SpeechPausedFrame():
                self._onset_at = None
            case VADUserStartedSpeakingFrame():
                self._speech_at = now - frame.start_secs if self._onset_at is None else self._onset_at
                self._onset_at = None
            case BotStartedSpeakingFrame() if self._bot_at is None:
                self._bot_at = now
        self._responses.follow_user_end(frame)
        await super().process_frame(frame, direction)

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Push a frame; what asks, ends or withdraws with its names, so that what overtakes it can tell them apart.

        Args:
            frame: Any frame.
            direction: Where it goes.
        """
        match frame:
            case LLMContextFrame(speculation=True):
                frame.metadata |= {TURN: self._turn + 1, EARLY: self._early}
            case LLMContextFrame():
                self._responses.asked()
                if self._ending:
                    frame.metadata[TURN] = self._turn
            case EagerEndOfTurnCancelFrame():
                frame.metadata[EARLY] = self._early
                self._early_stands = False
        await super().push_frame(frame, direction)

    async def _push_aggregation(self, *, run_llm: bool = True) -> str:
        if run_llm:
            await self._withdraw_early()
        self._early_stands = False
        parts, count = list(self._aggregation), len(self.messages)
        # Cleared first: the answer may be heard while the frames that are pushed here still travel.
        self._speech_at = self._bot_at = None
        self._turn += 1
        self._ending = True
        try:
            text = await super()._push_aggregation(run_llm=run_llm)
        finally:
            self._ending = False
        if text:
            self._ended, self._ended_parts, self._ended_at = self.messages[count], parts, time.monotonic()
            self._revoked = ""
            if not run_llm:
                await self.push_frame(TurnConfirmedFrame(self._context, self._turn, self._early))
        return text

    async def _on_user_turn_started(self, controller: Any, strategy: Any, params: Any) -> None:
        self._prepare_recovery(params.enable_interruptions and self._responses.in_progress)
        if params.enable_interruptions:
            self._responses.interrupted()
        if params.enable_interruptions and self._is_unheard():
            await self._reopen(controller)
        await super()._on_user_turn_started(controller, strategy, params)

    async def _run_speculative_inference(self, speculation: UserTurnSpeculation) -> None:
        await self._withdraw_early()
        self._early, self._early_stands = self._early + 1, True
        self._early_text = join_text(self._revoked, speculation.text)
        await super()._run_speculative_inference(UserTurnSpeculation(text=self._early_text))

    async def _on_user_turn_stopped(self, controller: Any, strategy: Any, params: Any) -> None:
        confirmed = params.confirms_speculation and self._early_stands
        confirmed = confirmed and _SAME_WORDS.matches(self._early_text, self.aggregation_string())
        if confirmed:
            # Said first: the answer is let out as the turn's end passes.
            self._responses.asked()
        else:
            await self._withdraw_early()
        await super()._on_user_turn_stopped(controller, strategy, replace(params, confirms_speculation=confirmed))

    def _prepare_recovery(self, cut_off: bool) -> None:
        """Choose what the brain is asked should the turn that starts have no words.

        Args:
            cut_off: Whether the turn cut a response off.
        """
        if self._empty_turn and self._recovery:
            prompt = self._empty_turn.interrupted_prompt if cut_off else self._empty_turn.idle_prompt
            self._recovery.interrupted_prompt = self._recovery.idle_prompt = prompt

    async def _withdraw_early(self) -> None:
        """Withdraw the early question that stands: its strategy has lost sight of it, or does not know all words.

        Ahead of the turn's end, which would let the answer out, and of what is asked in its place.
        """
        if self._early_stands:
            await self.broadcast_frame(EagerEndOfTurnCancelFrame)

    def _is_unheard(self) -> bool:
        """Whether the user went on before they can have taken in an answer to the newest turn."""
        if self._ended is None or not self.messages or self.messages[-1] is not self._ended:
            return False
        speech_at = self._speech_at if self._onset_at is None else self._onset_at
        unheard = self._bot_at is None or (speech_at is not None and speech_at < self._bot_at + TALKED_INTO_SECS)
        return unheard and time.monotonic() - self._ended_at < JOIN_SECS

    async def _reopen(self, controller: UserTurnController) -> None:
        self._context.set_messages(self.messages[:-1])
        self._aggregation = [*self._ended_parts, *self._aggregation]
        self._revoked, self._ended = self.aggregation_string(), None
        await self.push_frame(TurnReopenedFrame(text=self._revoked, turn=self._turn))
        for strategy in controller.user_turn_strategies.stop or []:
            if isinstance(strategy, SmartTurnStopStrategy):
                strategy.turn_reopened(self._revoked)


class JoiningAssistantAggregator(LLMAssistantAggregator):
    """Pipecat's assistant aggregator, which forgets the beginning of an answer that talked into a pause."""

    def __init__(self, context: LLMContext, *, responses: Responses | None = None, **kwargs: Any):
        """Begin with nothing said.

        Args:
            context: The conversation.
            responses: What the bot is about, shared with the user's end of the conversation.
            **kwargs: For ``LLMAssistantAggregator``.
        """
        super().__init__(context, **kwargs)
        self._responses = responses or Responses()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Forget what was heard of the answer to a turn that is gone on with; nothing else has been written of it.

        Args:
            frame: Any frame.
            direction: Where it goes.
        """
        if isinstance(frame, TurnReopenedFrame):
            await self.reset()
        self._responses.follow_bot_end(frame)
        await super().process_frame(frame, direction)
        if isinstance(frame, _CALLS):
            self._responses.calling = self.has_synchronous_function_calls_in_progress

    async def push_context_frame(self, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Ask the brain, as with a function's result.

        Args:
            direction: Where the brain is.
        """
        self._responses.asked()
        await super().push_context_frame(direction)
