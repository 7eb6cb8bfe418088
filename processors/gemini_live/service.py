"""The text brain: a Gemini Live session as a Pipecat LLM service."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from google import genai
from google.genai import types
from loguru import logger
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
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMSetToolsFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.llm_service import FunctionCallFromLLM
from pipecat.services.settings import LLMSettings
from pipecat.turns.speculation_gate import SpeculationState
from pipecat.utils.errors import ErrorCategory

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
    TurnSentFrame,
)
from halfcascade.processors.gemini_live.connection import LiveConnection
from halfcascade.processors.gemini_live.fillers import Fillers
from halfcascade.processors.gemini_live.functions import FunctionRunner
from halfcascade.processors.gemini_live.probing import probe_session
from halfcascade.processors.gemini_live.protocol import wording
from halfcascade.processors.gemini_live.protocol.actions import (
    Action,
    Apologize,
    Open,
    Recovered,
    Report,
    TurnSent,
    Usage,
    Waiting,
)
from halfcascade.processors.gemini_live.protocol.asked import AskedTurns
from halfcascade.processors.gemini_live.protocol.context_messages import opening_instruction
from halfcascade.processors.gemini_live.protocol.history import Turn
from halfcascade.processors.gemini_live.protocol.link import Renewal
from halfcascade.processors.gemini_live.protocol.models import Modality
from halfcascade.processors.gemini_live.protocol.options import SessionOptions
from halfcascade.processors.gemini_live.protocol.session import SessionMachine
from halfcascade.processors.gemini_live.protocol.turn_events import (
    Ended,
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
    language_code,
)
from halfcascade.processors.gemini_live.setup_message import SetupMessage
from halfcascade.processors.gemini_live.spans import TurnSpans
from halfcascade.processors.gemini_live.tools import response_of
from halfcascade.processors.gemini_live.usage import token_usage
from halfcascade.processors.google_calls import PROBE_SECS, Probe
from halfcascade.processors.google_clients import gemini_client
from halfcascade.processors.google_errors import GEMINI_LIVE, ProblemKind, problem
from halfcascade.processors.language import phrases
from halfcascade.processors.plain import plain

MakeClient = Callable[[], genai.Client]

_NOT_IN_NAMES = re.compile(r"[^\w.:-]")
_LONGEST_NAME = 128


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

    An interruption that turned out to be false (the user said nothing) is answered as Pipecat's user aggregator decides
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
        self._responding = False
        self._last_trouble = ""
        self._fillers_said = 0
        self._fillers = Fillers(self._say_filler, self.create_task, self.cancel_task)

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
            self._responding = False  # for everybody downstream an interruption ends the response
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
        self._responding = False
        self._spans.interrupted(withdrawn=True)
        self._feed(self._machine.withdraw)

    # What the machine wants done in the pipeline.

    async def _perform(self, action: Action) -> None:
        if isinstance(action, Started | TextDelta | ToolCalls) and not self._machine.is_speakable(action.turn):
            return  # the user has interrupted since the machine decided this
        self._spans.take(action, early=self._asked.is_open)
        match action:
            case Started() | TextDelta() | ToolCalls():
                await self._put_out(action)
            case Ended():
                await self._end_response()
            case ToolCancellation(ids):
                for call_id in ids:
                    await self._fillers.end(call_id)
                    await self._cancel_function_calls_by_tool_call_id(call_id)
            case TurnSent(turn, text, attempt, prompt):
                await self.start_processing_metrics()
                await self.start_ttfb_metrics()
                await self.broadcast_frame(TurnSentFrame, text=text, prompt=prompt, turn=turn, attempt=attempt)
            case Usage(metadata):
                await self.start_llm_usage_metrics(token_usage(metadata))
            case Waiting(_, offline):
                await self._fill(offline=offline)
            case Recovered():
                await self.broadcast_frame(ServiceRecoveredFrame, service=Service.BRAIN)
            case Apologize():
                await self._apologize()
            case Report():
                await self._report(action)

    async def _put_out(self, action: Started | TextDelta | ToolCalls) -> None:
        match action:
            case Started():
                self._responding = True
                await self.push_frame(LLMFullResponseStartFrame())
            case TextDelta(_, text):
                await self.stop_ttfb_metrics()
                await self._push_llm_text(text)
            case ToolCalls(_, calls):
                await self._call(calls)

    async def _end_response(self) -> None:
        await self.stop_processing_metrics()
        if self._responding:
            self._responding = False
            await self.push_frame(LLMFullResponseEndFrame())

    async def _fill(self, *, offline: bool) -> None:
        """The user has waited for a while: they shall know why."""
        if offline:
            line = self._last_trouble or problem(ProblemKind.OUTAGE, GEMINI_LIVE).line
            await self.broadcast_frame(ServiceOutageFrame, service=Service.BRAIN, line=line)
        elif self._settings.filler_after is not None:
            await self._say_filler(self._next_filler())

    async def _apologize(self) -> None:
        text = self._settings.apology or phrases(language_code(self._settings.language)).apology
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(LLMTextFrame(str(text)))
        await self.push_frame(LLMFullResponseEndFrame())

    async def _report(self, report: Report) -> None:
        again, self._last_trouble = report.line == self._last_trouble, report.line
        if not report.error:
            logger.log("DEBUG" if again else "WARNING", f"{self}: {report.line}")
            return
        category = ErrorCategory.INVALID_REQUEST if report.permanent else ErrorCategory.CONNECTIVITY
        await self.push_error(report.line, category=category)

    # Functions.

    async def _call(self, calls: tuple[types.FunctionCall, ...]) -> None:
        context = self._context or LLMContext()
        if self._asked.is_open:
            # Nothing can undo what a function does: it is called when the turn is over and asked again.
            self._withdraw()
            await self.broadcast_frame(EagerEndOfTurnCancelFrame)
            return
        for call in calls:
            self._begin_filler(call.id or "")
        await self.run_function_calls(
            [
                FunctionCallFromLLM(
                    # The model chose them: a name that is none cannot forge anything where it is shown.
                    function_name=_NOT_IN_NAMES.sub("_", call.name or "")[:_LONGEST_NAME],
                    tool_call_id=call.id or "",
                    arguments=plain(call.args or {}),
                    context=context,
                )
                for call in calls
            ]
        )

    async def _result(self, frame: FunctionCallResultFrame) -> None:
        properties = frame.properties
        if properties is not None and not properties.is_final:
            return  # the Live API has no place for a result that is not the last (facts/live#tools)
        speak = properties.run_llm if properties is not None and properties.run_llm is not None else frame.run_llm
        await self._fillers.end(frame.tool_call_id)
        step = partial(self._machine.result, speak=speak is not False)
        self._feed(step, frame.tool_call_id, response_of(frame.result))

    def _next_filler(self) -> str:
        texts: Any = self._settings.fillers or phrases(language_code(self._settings.language)).fillers
        self._fillers_said += 1
        return str(texts[(self._fillers_said - 1) % len(texts)])

    def _begin_filler(self, call_id: str) -> None:
        settings: Any = self._settings
        if settings.filler_after is not None:
            texts = settings.fillers or phrases(language_code(settings.language)).fillers
            self._fillers.begin(call_id, settings.filler_after, texts)

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
