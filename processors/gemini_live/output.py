"""What the pipeline gets to hear of the session: answers, what fills a silence, tokens and troubles."""

from collections.abc import Awaitable, Callable
from typing import Any

from loguru import logger
from pipecat.frames.frames import LLMFullResponseEndFrame, LLMFullResponseStartFrame, LLMTextFrame
from pipecat.services.llm_service import LLMService
from pipecat.utils.errors import ErrorCategory

from halfcascade.processors.frames import APOLOGY, Service, ServiceOutageFrame, ServiceRecoveredFrame, TurnSentFrame
from halfcascade.processors.gemini_live.fillers import Fillers
from halfcascade.processors.gemini_live.protocol.actions import (
    Action,
    Apologize,
    Recovered,
    Report,
    TurnSent,
    Usage,
    Waiting,
)
from halfcascade.processors.gemini_live.protocol.turn_events import Ended, Started, TextDelta
from halfcascade.processors.gemini_live.settings import GeminiLiveTextSettings, language_code
from halfcascade.processors.gemini_live.usage import token_usage
from halfcascade.processors.google_errors import GEMINI_LIVE, ProblemKind, problem
from halfcascade.processors.language import phrases


class AnswerOutput:
    """Puts out, through an LLM service, what the session's machine decided to tell."""

    def __init__(
        self,
        brain: LLMService[Any],
        settings: GeminiLiveTextSettings,
        fillers: Fillers,
        push_text: Callable[[str], Awaitable[None]],
    ) -> None:
        """Name who puts it out.

        Args:
            brain: The service.
            settings: Of the brain, live.
            fillers: What is said while an answer is awaited.
            push_text: Pushes text of an answer, or holds it while it may still be withdrawn.
        """
        self._brain = brain
        self._settings = settings
        self._fillers = fillers
        self._push_text = push_text
        self._responding = False
        self._last_trouble = ""

    def broken_off(self) -> None:
        """The answer that runs, if one does, has ended for everybody downstream, who know it without being told."""
        self._responding = False

    async def put_out(self, action: Action) -> None:
        """Tell something.

        Args:
            action: What; nothing is told of actions that are for somebody else.
        """
        match action:
            case Started():
                self._responding = True
                await self._brain.push_frame(LLMFullResponseStartFrame())
            case TextDelta(_, text):
                await self._brain.stop_ttfb_metrics()
                await self._push_text(text)
            case Ended():
                await self._end()
            case TurnSent():
                await self._sent(action)
            case Usage(metadata):
                await self._brain.start_llm_usage_metrics(token_usage(metadata))
            case _:
                await self._tell_of_trouble(action)

    async def _tell_of_trouble(self, action: Action) -> None:
        match action:
            case Waiting(_, offline=True):
                await self._brain.broadcast_frame(ServiceOutageFrame, service=Service.BRAIN, line=self._trouble())
            case Waiting():
                await self._fillers.say_next()
            case Recovered():
                self._last_trouble = ""
                await self._brain.broadcast_frame(ServiceRecoveredFrame, service=Service.BRAIN)
            case Apologize():
                await self._apologize()
            case Report():
                await self._report(action)

    async def _sent(self, turn: TurnSent) -> None:
        await self._brain.start_processing_metrics()
        await self._brain.start_ttfb_metrics()
        await self._brain.broadcast_frame(
            TurnSentFrame, text=turn.text, prompt=turn.prompt, turn=turn.turn, attempt=turn.attempt
        )

    async def _end(self) -> None:
        await self._brain.stop_processing_metrics()
        if self._responding:
            self._responding = False
            await self._brain.push_frame(LLMFullResponseEndFrame())

    def _trouble(self) -> str:
        return self._last_trouble or problem(ProblemKind.OUTAGE, GEMINI_LIVE).line

    async def _apologize(self) -> None:
        text = self._settings.apology or phrases(language_code(self._settings.language)).apology
        apology = LLMTextFrame(str(text))
        apology.metadata[APOLOGY] = self._trouble()
        await self._brain.push_frame(LLMFullResponseStartFrame())
        await self._brain.push_frame(apology)
        await self._brain.push_frame(LLMFullResponseEndFrame())

    async def _report(self, report: Report) -> None:
        again, self._last_trouble = report.line == self._last_trouble, report.line
        if not report.error:
            logger.log("DEBUG" if again else "WARNING", f"{self._brain}: {report.line}")
            return
        category = ErrorCategory.INVALID_REQUEST if report.permanent else ErrorCategory.CONNECTIVITY
        await self._brain.push_error(report.line, category=category)
