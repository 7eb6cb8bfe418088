"""The text brain: a Gemini Live session as a Pipecat LLM service."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from google import genai
from google.genai import types
from pipecat.adapters.llm.services.gemini_live_adapter import GeminiLiveLLMAdapter
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EagerEndOfTurnCancelFrame,
    EndFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallResultFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMSetToolsFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.settings import LLMSettings
from pipecat.turns.speculation_gate import SpeculationState

from halfcascade.processors.frames import (
    EARLY,
    TURN,
    AnswerForeseenFrame,
    Service,
    ServiceOutageFrame,
    ServiceRecoveredFrame,
    SpeechSkippedFrame,
    TurnConfirmedFrame,
    TurnReopenedFrame,
)
from halfcascade.processors.gemini_live.connection import LiveConnection
from halfcascade.processors.gemini_live.fillers import Fillers
from halfcascade.processors.gemini_live.functions import FunctionRunner
from halfcascade.processors.gemini_live.output import AnswerOutput
from halfcascade.processors.gemini_live.probing import probe_session
from halfcascade.processors.gemini_live.protocol import wording
from halfcascade.processors.gemini_live.protocol.actions import (
    Action,
    Open,
)
from halfcascade.processors.gemini_live.protocol.asked import AskedTurns
from halfcascade.processors.gemini_live.protocol.context_messages import opening_instruction
from halfcascade.processors.gemini_live.protocol.history import Turn
from halfcascade.processors.gemini_live.protocol.link import Renewal
from halfcascade.processors.gemini_live.protocol.models import Modality
from halfcascade.processors.gemini_live.protocol.options import SessionOptions
from halfcascade.processors.gemini_live.protocol.session import SessionMachine
from halfcascade.processors.gemini_live.protocol.turn_events import (
    Started,
    TextDelta,
    ToolCalls,
    ToolCancellation,
)
from halfcascade.processors.gemini_live.runner import Arguments, Opener, SessionRunner
from halfcascade.processors.gemini_live.settings import (
    KEPT_BY_RESUMPTION,
    LOCAL_FIELDS,
    GeminiLiveTextSettings,
    default_settings,
)
from halfcascade.processors.gemini_live.setup_message import SetupMessage
from halfcascade.processors.gemini_live.spans import TurnSpans
from halfcascade.processors.gemini_live.tools import response_of
from halfcascade.processors.google_calls import PROBE_SECS, Probe
from halfcascade.processors.google_clients import gemini_client

MakeClient = Callable[[], genai.Client]


class GeminiLiveTextProcessor(FunctionRunner):
    """A Gemini Live session used as a text model: endless, fast, and true to what the user heard.

    It takes the newest turn out of each ``LLMContextFrame``, sends it as one short message, and streams the text that
    comes back as ``LLMTextFrame``s. Models that only speak are asked for audio with transcription; the audio is thrown
    away (facts/live#transcripts). The session outlives its connections: see ``SessionMachine`` for hand-overs, resends
    and the watchdog, ``TurnMachine`` for whose text is whose, ``History`` for what the model is told about
    interruptions.

    Connects in ``setup()``, beside the other processors, so the first turn pays no connect. Give it the ``context`` of
    the aggregators, so that its tools and its history are known by then.

    Speculative turns (``LLMContextFrame.speculation``) are sent at once; Pipecat's gate holds the answer. If one is
    withdrawn, or the user goes on with a turn that was taken to be over (``TurnReopenedFrame``), the session is resumed
    from the handle it had before that turn, so the model keeps no trace of it: the user is still talking then and waits
    for nothing. Without a handle the session begins afresh with its history. When the real turn comes right behind, a
    note tells the model to ignore the unfinished one. A second session kept for speculating would cost twice the tokens
    for the same result, since a handle cannot be resumed while its connection is open (facts/live#lifetime).

    An interruption that turned out to be false (the user said nothing) is answered as the user aggregator decides
    (``EmptyUserTurnConfig``): its developer message comes with the note of what was heard, so the model can ask again
    or go on from there.
    """

    Settings = GeminiLiveTextSettings
    _settings: GeminiLiveTextSettings
    adapter_class = GeminiLiveLLMAdapter

    def __init__(
        self,
        client: genai.Client | None = None,
        *,
        settings: GeminiLiveTextSettings | None = None,
        context: LLMContext | None = None,
        options: SessionOptions | None = None,
        opener: Opener = LiveConnection.open,
        environ: Mapping[str, str] | None = None,
        make_client: MakeClient | None = None,
        **kwargs: Any,
    ) -> None:
        """Prepare the brain; nothing is opened before ``setup``.

        Args:
            client: google-genai client; None makes one from google-genai's environment names in ``setup``.
            settings: What differs from the defaults.
            context: The context that the aggregators share; its tools and messages go into the first setup.
            options: Timeouts of the session.
            opener: Opens a connection.
            environ: Variables that say where a client of its own leads; None means this process's.
            make_client: Makes a client of its own; None means
                ``halfcascade.processors.google_clients.gemini_client``.
            **kwargs: For ``LLMService``.
        """
        complete = default_settings()
        if settings is not None:
            complete.apply_update(settings)
        super().__init__(settings=complete, **kwargs)
        self._client = client
        self._make_client = make_client or partial(gemini_client, environ)
        self._context = context
        self._opener = opener
        self._setup_message = SetupMessage(complete, self.get_llm_adapter(), self._function_is_async)
        self._machine = SessionMachine(self._setup_message.row, options, self._function_is_async)
        self._runner: SessionRunner | None = None
        self._turn = 0
        self._asked = AskedTurns()
        self._spans = TurnSpans(complete, self._setup_message)
        self._fillers = Fillers(complete, self._say_filler, self.create_task, self.cancel_task)
        self._output = AnswerOutput(self, complete, self._fillers, self._push_llm_text)

    def can_generate_metrics(self) -> bool:
        """This service reports time to first text, processing time and tokens."""
        return True

    # Life.

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Open the session while the other processors set up.

        Args:
            setup: Pipecat's.

        Raises:
            ConfigurationError: If no client was given and the environment names none.
        """
        await super().setup(setup)
        self._spans.start(setup)
        client = self._client or self._make_client()
        if self._context is not None:
            self._machine.context = self._context.messages
            self._sync_registered_tool_handlers(self._context.tools)
        self._take_setup()
        self._runner = SessionRunner(
            machine=self._machine,
            client=client,
            model_name=lambda: self._setup_message.model_name,
            config=self._config,
            perform=self._perform,
            tasks=self.task_manager,
            opener=self._opener,
        )
        self._runner.start()

    async def probe(self, secs: float = PROBE_SECS) -> Probe:
        """Ask the Live API, before a talk, whether it would answer: a session with the talk's setup and tools.

        Args:
            secs: How long that may take.

        Returns:
            What was found.

        Raises:
            ConfigurationError: Why it would not work, and what to do.
        """
        self._take_setup()
        return await probe_session(
            self._client or self._make_client(),
            self._setup_message.model_name,
            self._setup_message.row,
            setup=lambda row: self._setup_message.make(row, row.modality, handle=None, history=False),
            opener=self._opener,
            secs=secs,
        )

    async def stop(self, frame: EndFrame) -> None:
        """Close the session.

        Args:
            frame: The end.
        """
        await super().stop(frame)
        await self._end()

    async def cancel(self, frame: CancelFrame) -> None:
        """Close the session at once.

        Args:
            frame: The end.
        """
        await super().cancel(frame)
        await self._end()

    async def cleanup(self) -> None:
        """Release everything."""
        await self._end()
        await super().cleanup()

    async def _end(self) -> None:
        await self._fillers.end_all()
        self._spans.close()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.stop()

    # Frames.

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        if isinstance(frame, InterruptionFrame):
            # Before anything awaits: not one more delta of the old answer leaves.
            self._output.broken_off()
            self._withdraw() if self._asked.withdrawn() else self._feed(self._machine.interrupt)
            self._spans.interrupted()
        await super().process_frame(frame, direction)
        match frame:
            case LLMContextFrame():
                await self._take_turn(frame, direction)
                return
            case TurnConfirmedFrame():
                self._confirm(frame)
            case UserStartedSpeakingFrame() | UserStoppedSpeakingFrame():
                speaks = isinstance(frame, UserStartedSpeakingFrame)
                if not speaks:
                    self._asked.turn_ended()
                self._feed(partial(self._machine.speaking, user=speaks))
            case BotStartedSpeakingFrame() | BotStoppedSpeakingFrame():
                self._feed(partial(self._machine.speaking, bot=isinstance(frame, BotStartedSpeakingFrame)))
            case TurnReopenedFrame():
                if self._asked.reopened(frame.turn):
                    self._withdraw()
            case ServiceOutageFrame() | ServiceRecoveredFrame() if frame.service is not Service.BRAIN:
                doubt = partial(self._machine.doubt, words=frame.service is Service.EARS)
                self._feed(doubt if isinstance(frame, ServiceOutageFrame) else self._machine.hope)
            case SpeechSkippedFrame():
                self._feed(self._machine.unspoken, frame.text)
            case LLMSetToolsFrame():
                self._sync_registered_tool_handlers(frame.tools)
                self._apply_changes(fresh=False)
            case _:
                pass
        await self.push_frame(frame, direction)

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Push a frame; results of functions are sent to the model as they pass.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        if direction is FrameDirection.DOWNSTREAM:
            if isinstance(frame, FunctionCallResultFrame):
                await self._result(frame)
            elif isinstance(frame, FunctionCallCancelFrame):
                await self._fillers.end(frame.tool_call_id)
                if frame.run_llm:
                    self._feed(self._machine.result, frame.tool_call_id, {"error": "The function took too long."})
        await super().push_frame(frame, direction)
        if isinstance(frame, LLMTextFrame) and self._speculation_gate.state is SpeculationState.HOLDING:
            await super().push_frame(AnswerForeseenFrame(text=frame.text))

    def _feed(self, step: Callable[[*Arguments, float], Sequence[Action]], *args: *Arguments) -> None:
        if self._runner is not None:
            self._runner.do(step, *args)

    async def _take_turn(self, frame: LLMContextFrame, direction: FrameDirection) -> None:
        name, early = frame.metadata.get(TURN, 0), frame.metadata.get(EARLY, 0) if frame.speculation else None
        if self._asked.is_void(name, early or 0):
            # The user has gone on before this came here: the turn ends anew, with all its words.
            self._speculation_gate.begin_speculation(False)
            return
        if early and not self._speculation_gate.is_speculating:
            return  # the turn has ended already: what confirms it is right behind, and asks
        upstream = direction is FrameDirection.UPSTREAM
        if self._asked.is_unconfirmed and not (upstream and self._machine.take(frame.context.messages, 0) is None):
            # What is asked now takes its place, also where its answer is held and where its turn ends.
            self._withdraw()
            if not frame.speculation:
                await self.broadcast_frame(EagerEndOfTurnCancelFrame)
        if not frame.speculation:
            self._context = frame.context
        insist, named = not (upstream or frame.speculation or name), bool(name) and not frame.speculation
        if self._ask(frame.context, named=named, provisional=frame.speculation, insist=insist) or name:
            # The user's turn may have ended before an early question came here: system frames overtake it.
            self._asked.asked(name, early, ended=not self._speculation_gate.is_speculating)

    def _confirm(self, frame: TurnConfirmedFrame) -> None:
        if self._asked.is_void(frame.turn):
            return
        self._context = frame.context
        if self._asked.confirmed(frame.turn, frame.early):
            self._feed(self._machine.confirm, frame.context.messages)
            return
        # The question was lost: withdrawn by a function it called, or by an interruption.
        self._speculation_gate.begin_speculation(False)
        self._ask(frame.context, named=True)
        self._asked.asked(frame.turn)

    def _ask(self, context: LLMContext, *, named: bool, provisional: bool = False, insist: bool = False) -> bool:
        """Submit what is new in the context.

        Args:
            context: The conversation.
            named: Whether it ends with a turn of the user that is over now: asked at any rate, unless it was already.
            provisional: Whether its newest message is not confirmed yet.
            insist: Whether the model shall go on where nothing is new: the program asked for an answer. Else it is a
                function's result, which the model has already been given, or a turn that was sent with another.

        Returns:
            Whether there was anything.
        """
        messages = context.messages
        rewritten = self._machine.is_rewritten(messages)
        self._apply_changes(fresh=rewritten, force=rewritten)
        turn = self._machine.take(messages, self._turn + 1, provisional=provisional)
        if turn is None and (insist or (named and self._machine.is_only_told(messages))):
            turn = Turn(self._turn + 1, wording.CONTINUE_PROMPT, (), messages)
        if turn is None:
            return False
        self._turn += 1
        self._feed(self._machine.submit, turn)
        return True

    async def _handle_eager_end_of_turn_cancel(self, frame: EagerEndOfTurnCancelFrame) -> None:
        if self._asked.withdrawn(frame.metadata.get(EARLY, 0)):
            self._withdraw()
        await super()._handle_eager_end_of_turn_cancel(frame)

    def _withdraw(self) -> None:
        """What the model was asked last counts as never asked."""
        self._asked.taken_back()
        self._output.broken_off()
        self._spans.interrupted(withdrawn=True)
        self._feed(self._machine.withdraw)

    # What the machine wants done in the pipeline.

    async def _perform(self, action: Action) -> None:
        if isinstance(action, Started | TextDelta | ToolCalls) and not self._machine.is_speakable(action.turn):
            return  # the user has interrupted since the machine decided this
        self._spans.take(action, early=self._asked.is_open)
        match action:
            case ToolCalls(_, calls):
                await self._call(calls)
            case ToolCancellation(ids):
                for call_id in ids:
                    await self._fillers.end(call_id)
                    await self._cancel_function_calls_by_tool_call_id(call_id)
            case _:
                await self._output.put_out(action)

    # Functions.

    async def _call(self, calls: tuple[types.FunctionCall, ...]) -> None:
        context = self._context or LLMContext()
        if self._asked.is_open:
            # Nothing can undo what a function does: it is called when the turn is over and asked again.
            self._withdraw()
            await self.broadcast_frame(EagerEndOfTurnCancelFrame)
            return
        for call in calls:
            self._fillers.begin(call.id or "")
        await self.run_model_calls(calls, context)

    async def _result(self, frame: FunctionCallResultFrame) -> None:
        properties = frame.properties
        if properties is not None and not properties.is_final:
            return  # the Live API has no place for a result that is not the last (facts/live#tools)
        speak = properties.run_llm if properties is not None and properties.run_llm is not None else frame.run_llm
        await self._fillers.end(frame.tool_call_id)
        step = partial(self._machine.result, speak=speak is not False)
        self._feed(step, frame.tool_call_id, response_of(frame.result))

    async def _say_filler(self, text: str) -> None:
        # Not part of the conversation: the model need not know that the silence was filled.
        await self.push_frame(TTSSpeakFrame(text, append_to_context=False))

    # Settings and setup.

    async def _update_settings(self, delta: LLMSettings) -> dict[str, Any]:  # type: ignore[override]
        """Apply changed settings; what the server must know takes effect at the next turn by a hand-over.

        Args:
            delta: What changes.

        Returns:
            Changed fields with their old values.
        """
        changed = await super()._update_settings(delta)
        remote = set(changed) - LOCAL_FIELDS
        if remote:
            self._apply_changes(fresh=bool(remote - KEPT_BY_RESUMPTION), force=True)
        return changed

    def _apply_changes(self, *, fresh: bool, force: bool = False) -> None:
        """Hand over if the session's tools or instruction are not the ones that are wanted now."""
        renewal = self._take_setup()
        if renewal is None and not force:
            return
        renewal = Renewal.FRESH if fresh else renewal or Renewal.RESUME
        self._feed(self._machine.renew, self._setup_message.row, renewal)

    def _take_setup(self) -> Renewal | None:
        return self._setup_message.take(self._context, self._effective_instruction(), self._machine.model)

    def _effective_instruction(self) -> str | None:
        """The settings' instruction, or else the system message that opens the context; with Pipecat's additions."""
        composed: Any = self._settings.system_instruction
        if self._base_system_instruction or self._context is None:
            return composed
        return "\n\n".join(text for text in (opening_instruction(self._context.messages), composed) if text) or None

    def _config(self, action: Open, modality: Modality) -> types.LiveConnectConfig:
        return self._setup_message.make(self._machine.model, modality, handle=action.handle, history=action.history)
