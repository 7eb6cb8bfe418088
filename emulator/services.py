"""The services of one emulator, put together over one mind, and how they are changed while they run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grpc_health.v1 import health_pb2

from halfcascade.emulator.buckets import Buckets
from halfcascade.emulator.faults import Faults
from halfcascade.emulator.generate.service import GenerateService
from halfcascade.emulator.limits import SpeechLimits, TtsLimits
from halfcascade.emulator.live.service import LiveService
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.base import Mind
from halfcascade.emulator.operations import Operations
from halfcascade.emulator.profiles import Profile
from halfcascade.emulator.rest import Rest
from halfcascade.emulator.rpc import Interface, Interfaces, Rpc
from halfcascade.emulator.speech.server import SpeechService
from halfcascade.emulator.tts.server import TextToSpeechService
from halfcascade.emulator.web.app import App, Route


class Services:
    """All emulated APIs.

    Parameters:
        mind: What listens, thinks and speaks.
        profile: Latencies.
        faults: What goes wrong.
        log: Where to write down what happens.
        api_key: The one API key that Gemini accepts; None = any.
        speech_limits: What Speech-to-Text enforces.
        tts_limits: What Text-to-Speech enforces.
        clock_scale: How much faster the clocks of all limits run.
        buckets: Folder that stands for Cloud Storage, or None.
    """

    def __init__(
        self,
        mind: Mind,
        profile: Profile,
        *,
        faults: Faults,
        log: UsageLog,
        api_key: str | None = None,
        speech_limits: SpeechLimits | None = None,
        tts_limits: TtsLimits | None = None,
        clock_scale: float = 1.0,
        buckets: Path | None = None,
    ) -> None:
        self.faults = faults
        self._speech_limits = speech_limits or SpeechLimits()
        self._tts_limits = tts_limits or TtsLimits()
        self.operations = Operations()
        shared: dict[str, Any] = {
            "profile": profile,
            "faults": faults,
            "log": log,
            "operations": self.operations,
            "buckets": Buckets(buckets),
        }
        self.speech = SpeechService(mind.listener, limits=self._speech_limits, **shared)
        self.tts = TextToSpeechService(mind.speaker, limits=self._tts_limits, **shared)
        self.live = LiveService(mind, profile, faults=faults, log=log, api_key=api_key)
        self.generate = GenerateService(mind, profile, self.live.tokens, faults=faults, log=log, api_key=api_key)
        self.interfaces = Interfaces(
            [
                *self.speech.interfaces(),
                *self.tts.interfaces(),
                Interface("speech", "google.longrunning", "", "Operations", self.operations.rpcs),
                Interface("health", "grpc.health", "v1", "Health", _health),
            ]
        )
        self.scale_clock(clock_scale)

    def app(self, further: Sequence[Route]) -> App:
        """Make the ASGI application.

        Args:
            further: Routes of its own, tried first.
        """
        return App([*further, *Rest(self.interfaces).routes(), *self.generate.routes()], [self.live.serve])

    def use_mind(self, mind: Mind) -> None:
        """Let another mind listen, think and speak; what is under way keeps the one it began with."""
        self.speech.listener = mind.listener
        self.tts.speaker = mind.speaker
        self.live.mind = self.generate.mind = mind

    def use_profile(self, profile: Profile) -> None:
        """Take other latencies; what is under way keeps those it began with."""
        for service in (self.speech, self.tts, self.live, self.generate):
            service.profile = profile

    def scale_clock(self, scale: float) -> None:
        """Let the clocks of all limits run faster."""
        self.speech.limits = self._speech_limits.scaled(scale)
        self.tts.limits = self._tts_limits.scaled(scale)
        self.live.scale_clock(scale)


def _health() -> Sequence[Rpc]:
    async def check(request: Any, context: Any) -> Any:
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    return [Rpc("Check", health_pb2.HealthCheckRequest, check)]
