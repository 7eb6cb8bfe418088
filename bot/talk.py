"""One talk over any of Pipecat's transports: its pipeline, what watches over it, and how it ends.

Nothing here belongs to the process: signals, the terminal, exit codes and the embedded servers are the business of
whoever holds the talk, so that many may be held in one process.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from loguru import logger
from pipecat.clocks.system_clock import SystemClock
from pipecat.frames.frames import Frame, TTSSpeakFrame
from pipecat.pipeline.worker import PipelineParams, PipelineWorker, ProcessorUnusablePolicy
from pipecat.processors.frameworks.rtvi import RTVIProcessor
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

from halfcascade.bot.budget import BUDGET_SPENT, BudgetGuard
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.pipeline import AUDIO_IN_RATE, AUDIO_OUT_RATE, BotPipeline, build_pipeline
from halfcascade.bot.services import Services
from halfcascade.bot.session.events import Event
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.settings import Settings
from halfcascade.bot.toolbox import Tool
from halfcascade.bot.watching import TalkWorker
from halfcascade.processors.language import phrases
from halfcascade.processors.playout import Playout
from halfcascade.processors.threads import watched

if TYPE_CHECKING:
    from pipecat.observers.base_observer import BaseObserver
    from pipecat.processors.aggregators.llm_context import LLMContextMessage

# A reply that is being spoken when the budget is spent may be finished for so long.
_FAREWELL_SECS = 30.0
# Reasons for which what is queued is still spoken.
_IN_ORDER = ("finished", BUDGET_SPENT)
# Ending in order flushes what is queued; a service that hangs shall not keep a person waiting longer than this.
_END_SECS = 15.0
# What is ended at once flushes nothing; what does not end in this time either is left to itself.
_CANCEL_SECS = 3.0

Started = Callable[[], Coroutine[Any, Any, None]]


class Talk:
    """What runs from the first frame to the last.

    Args:
        settings: Everything that can be chosen.
        transport: Where audio enters and leaves; any of Pipecat's.
        hub: Where all that happens comes together.
        outcome: Learns how it ends, and ends it.
        tools: Functions for the model besides the built-in ones.
        environ: Variables that say which servers are talked to; None means this process's.
        history: What was said and heard before, if the talk continues an earlier one.
        services: Where the clients of the three services come from; None means Google, or where ``environ`` leads.
        playout: As for `build_pipeline`.
        rtvi: Tells a client what happens and takes its messages, by Pipecat's RTVI protocol; None for no client.
        idle_secs: After how much silence on both sides the talk ends, in seconds, or None for never.
        traced: Whether Pipecat writes OpenTelemetry spans of turns and services; the process has set up where to.
        observers: Who else watches the pipeline.

    Raises:
        ConfigurationError: If settings contradict each other or a user's processor cannot be loaded.
    """

    def __init__(
        self,
        settings: Settings,
        transport: BaseTransport,
        hub: EventHub,
        outcome: Outcome,
        *,
        tools: Sequence[Tool] = (),
        environ: Mapping[str, str] | None = None,
        playout: Playout | None = None,
        history: "Sequence[LLMContextMessage]" = (),
        services: Services | None = None,
        rtvi: RTVIProcessor | None = None,
        idle_secs: float | None = None,
        traced: bool = False,
        observers: "Sequence[BaseObserver]" = (),
    ):
        self._settings = settings
        self._hub = hub
        self._outcome = outcome
        self._tasks: set[asyncio.Task[None]] = set()
        self.started: Started | None = None
        """Called once everything runs, if set."""
        self.failing: Callable[[str], Coroutine[Any, Any, None]] | None = None
        """Called with the message of an error that cannot be recovered from, in place of ending the talk at once."""
        self.bot: BotPipeline = build_pipeline(
            transport, settings, tools, environ=environ, playout=playout, history=history, services=services
        )
        clock = SystemClock()
        self.worker = TalkWorker(
            self.bot.pipeline,
            params=PipelineParams(
                audio_in_sample_rate=AUDIO_IN_RATE,
                audio_out_sample_rate=AUDIO_OUT_RATE,
                enable_metrics=True,
                enable_usage_metrics=True,
            ),
            clock=clock,
            observers=[hub.observer(clock), *observers],
            # A bot without ears, brain or voice would be silently deaf or mute.
            processor_unusable_policy=ProcessorUnusablePolicy.CONTINUE,
            enable_rtvi=rtvi is not None,
            rtvi_processor=rtvi,
            enable_turn_tracking=traced,
            enable_tracing=traced,
            idle_timeout_secs=idle_secs,
            cancel_on_idle_timeout=False,
            cancel_timeout_secs=_CANCEL_SECS,
        )
        hub.listen(self._on_event)
        if settings.budget:
            guard = BudgetGuard(settings.budget, hub, lambda: self.soon(self._say_farewell(guard)))
            hub.listen(guard.on_event)
        self.worker.add_event_handler("on_idle_timeout", self._on_idle)
        self.worker.add_event_handler("on_pipeline_started", self._on_started)
        self.worker.add_event_handler("on_setup_timeout", self._on_timeout)
        self.worker.add_event_handler("on_pipeline_timeout", self._on_timeout)

    async def run(self) -> None:
        """Hold the talk until its outcome is settled, and end it in order."""
        talking = asyncio.create_task(self._run_pipeline(), name="talk")
        over = asyncio.create_task(self._outcome.over.wait(), name="over")
        try:
            await asyncio.wait({talking, over}, return_when=asyncio.FIRST_COMPLETED)
            if not talking.done():
                await self._end(talking)
            if talking.done() and not talking.cancelled():
                await talking
        finally:
            tasks = {over, talking, *self._tasks}
            for task in tasks:
                task.cancel()
            patience = self._outcome.patience(_CANCEL_SECS, share=0.5)
            if held := (await asyncio.wait(tasks, timeout=patience))[1]:
                logger.error(f"Did not end, and is left behind: {', '.join(task.get_name() for task in held)}.")

    async def _run_pipeline(self) -> None:
        runner = WorkerRunner(handle_sigint=False, handle_sigterm=False)
        await runner.add_workers(self.worker)
        await runner.run()
        if not self._outcome.over.is_set():
            self._outcome.fail("The pipeline ended by itself; the log tells more.")

    async def _end(self, talking: asyncio.Task[None]) -> None:
        if self._outcome.reason in _IN_ORDER:
            await self.worker.stop_when_done()
            await asyncio.wait({talking}, timeout=_END_SECS)
            if talking.done():
                return
            logger.error("The pipeline did not end in order: something holds what is still in it.")
        # A task of its own: what takes no notice of its end is not waited for either.
        cancelling = asyncio.create_task(self.worker.cancel(reason=self._outcome.reason), name="cancel")
        self._tasks.add(watched(cancelling, "The end of the pipeline"))
        await asyncio.wait({cancelling}, timeout=self._outcome.patience(_CANCEL_SECS, share=0.3))
        await asyncio.wait({talking}, timeout=self._outcome.patience(_CANCEL_SECS, share=0.4))

    def _on_event(self, event: Event) -> None:
        if event.type == "error" and event.fields["permanent"]:
            if self.failing:
                self.soon(self.failing(event.fields["message"]))
            else:
                self._outcome.fail(event.fields["message"])

    async def _on_started(self, worker: PipelineWorker, frame: Frame) -> None:
        if self.started:
            self.soon(self.started())
        if self._settings.greeting:
            await worker.queue_frame(TTSSpeakFrame(self._settings.greeting))

    async def _on_timeout(self, worker: PipelineWorker, *frame: Frame) -> None:
        self._outcome.fail("The pipeline did not start in time: is the network slow, or a server not answering?")

    async def _say_farewell(self, guard: BudgetGuard) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECS):
                await guard.quiet.wait()
        await self.worker.queue_frame(TTSSpeakFrame(phrases(self._settings.language).budget_spent))
        self._outcome.end(BUDGET_SPENT)

    async def _on_idle(self, worker: PipelineWorker) -> None:
        self._outcome.end("nobody spoke")

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the talk; it ends with the talk at the latest.

        Args:
            work: What to do.
        """
        task = watched(asyncio.create_task(work), "Something beside the talk")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
