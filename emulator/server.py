"""Google's speech and language APIs on one machine, as a library: ``async with GoogleEmulator(...) as google``."""

import asyncio
import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from halfcascade.emulator.control import Control, clear_faults
from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.faults import Fault, Faults
from halfcascade.emulator.limits import SpeechLimits, TtsLimits
from halfcascade.emulator.listening import HOST, Ports, Served
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.base import Mind, MindError
from halfcascade.emulator.minds.scripted import Scenario, create_scripted_mind, load_scenario
from halfcascade.emulator.profiles import Profile, load_profile, parse_profile
from halfcascade.emulator.services import Services
from halfcascade.installing import how_to_install


class GoogleEmulator(Served):
    """Speech-to-Text, Text-to-Speech and Gemini on loopback ports.

    Parameters:
        mind: ``scripted``, ``local``, or a mind of one's own.
        scenario: Of the scripted mind: a file, its content, or a parsed ``Scenario``.
        profile: Name or file of a latency profile, or a ``Profile``. The local mind is as slow as it is; of the profile
            only the network counts for it.
        faults: What goes wrong; more can be added to ``self.faults`` while it runs.
        host: Address to listen on.
        advertise: Name or address under which clients reach it; "" = ``host``, or loopback where that is any address.
        speech_port: Port of Speech-to-Text, 0 = any.
        tts_port: Port of Text-to-Speech, 0 = any.
        live_port: HTTPS port of Gemini, of the REST transports and of control, 0 = any.
        http_port: The same without TLS, 0 = any.
        grpc_tls_port: Both speech services over TLS, 0 = any.
        tls_port: gRPC and HTTPS together, as Google serves them; 0 = any, None = there is none.
        llm_path: GGUF file of a language model for the local mind; None = the one it comes with.
        api_key: The one API key that Gemini accepts; None = any.
        speech_limits: What Speech-to-Text enforces.
        tts_limits: What Text-to-Speech enforces.
        clock_scale: How much faster the clocks of all limits run.
        buckets: Folder that stands for Cloud Storage: ``gs://bucket/path`` is the file ``bucket/path`` in it.
        tls_folder: Where the bundle and the credentials are written too, for other containers; None = nowhere.
        log_entries: How many entries the log keeps; None = all.

    Attributes:
        env: Environment that leads Google's clients here; known once started.
        extra_env: Further variables, for clients in other languages, TLS gRPC, Vertex and REST; known once started.
        ports: Ports by API (``speech``, ``tts``, ``live``, ``http``, ``grpc_tls``, ``tls``); known once started.
        log: What the services received and sent.
        mind: What listens, thinks and speaks; known once started.
        services: The services; known once started.
    """

    def __init__(
        self,
        *,
        mind: Mind | Literal["scripted", "local"] = "scripted",
        scenario: Path | str | Mapping[str, Any] | Scenario | None = None,
        profile: Profile | Path | str = "instant",
        faults: Faults | Iterable[Fault] = (),
        host: str = HOST,
        advertise: str = "",
        speech_port: int = 0,
        tts_port: int = 0,
        live_port: int = 0,
        http_port: int = 0,
        grpc_tls_port: int = 0,
        tls_port: int | None = None,
        llm_path: Path | None = None,
        api_key: str | None = None,
        speech_limits: SpeechLimits | None = None,
        tts_limits: TtsLimits | None = None,
        clock_scale: float = 1.0,
        buckets: Path | None = None,
        tls_folder: Path | None = None,
        log_entries: int | None = None,
    ) -> None:
        self.profile = profile if isinstance(profile, Profile) else load_profile(profile)
        self.faults = faults if isinstance(faults, Faults) else Faults(list(faults))
        self.log = UsageLog(log_entries)
        super().__init__(
            Ports(
                host=host,
                advertise=advertise,
                speech_port=speech_port,
                tts_port=tts_port,
                live_port=live_port,
                http_port=http_port,
                grpc_tls_port=grpc_tls_port,
                tls_port=tls_port,
                tls_folder=tls_folder,
                api_key=api_key,
            )
        )
        self.mind: Mind | None = None
        self.services: Services | None = None
        self._mind = mind
        self._scenario = scenario
        self._llm_path = llm_path
        self._clock_scale = clock_scale
        self._settings: dict[str, Any] = {
            "api_key": api_key,
            "speech_limits": speech_limits,
            "tts_limits": tts_limits,
            "clock_scale": clock_scale,
            "buckets": buckets,
        }

    async def start(self) -> None:
        """Load the mind and listen.

        Raises:
            EmulatorError: If the mind cannot be loaded or a port is taken.
        """
        try:
            self.mind = await self._create_mind()
            await self.mind.start()
            await self._serve(self.mind)
        except MindError as error:
            await self.stop()
            raise EmulatorError(str(error)) from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End all calls, close the ports, release the mind, delete the certificate."""
        await self._ports.close_web()
        if self.services is not None:
            await self.services.operations.stop()
        await self._ports.close_grpc()
        if self.mind is not None:
            await self.mind.close()
            self.mind = None
        self._ports.remove_certificate()

    # Control

    def describe(self) -> dict[str, Any]:
        """Say how it is set."""
        scripted = isinstance(self._mind, str) and self._mind == "scripted"
        return {
            "mind": self._mind if isinstance(self._mind, str) else type(self._mind).__name__,
            "profile": self.profile.name,
            "clock_scale": self._clock_scale,
            "scripted": scripted,
            "ports": self.ports,
            "live_sessions": len(self.services.live.store.sessions) if self.services else 0,
        }

    async def change(self, settings: Mapping[str, Any]) -> None:
        """Take other settings, from the next call or connection on.

        Args:
            settings: ``scenario`` (as its file's content), ``profile`` (a name, or tables), ``clock_scale``.

        Raises:
            EmulatorError: If one of them is not valid; then none is taken.
        """
        if unknown := sorted(set(settings) - {"scenario", "profile", "clock_scale"}):
            raise EmulatorError(f"There is no setting {unknown[0]!r}: use scenario, profile or clock_scale.")
        scale = settings.get("clock_scale", self._clock_scale)
        if isinstance(scale, bool) or not isinstance(scale, int | float) or not scale > 0:
            raise EmulatorError("clock_scale must be a number above zero.")
        profile = self.profile
        if isinstance(wanted := settings.get("profile"), Mapping):
            profile = parse_profile("custom", dict(wanted))
        elif wanted is not None:
            profile = load_profile(str(wanted))
        scenario = self._scenario
        if "scenario" in settings:
            if not isinstance(settings["scenario"], Mapping):
                raise EmulatorError("scenario must be an object, as a scenario file holds it.")
            scenario = await asyncio.to_thread(load_scenario, settings["scenario"])
        if self._mind == "scripted":
            mind = await asyncio.to_thread(_create_scripted_mind, scenario, profile)
            self._use(mind)
        elif "scenario" in settings:
            raise EmulatorError("Only the scripted mind follows a scenario.")
        self._scenario, self.profile, self._clock_scale = scenario, profile, float(scale)
        if self.services is not None:
            self.services.use_profile(profile)
            self.services.scale_clock(self._clock_scale)

    async def reset(self) -> None:
        """Begin anew: the scenario from its start, no faults, an empty log."""
        clear_faults(self.faults)
        if self.services is not None:
            self.services.live.script.reset(self.faults.live)
        self.log.clear()
        if self._mind == "scripted":
            self._use(await asyncio.to_thread(_create_scripted_mind, self._scenario, self.profile))

    def _use(self, mind: Mind) -> None:
        self.mind = mind
        if self.services is not None:
            self.services.use_mind(mind)

    # Starting

    async def _create_mind(self) -> Mind:
        if isinstance(self._mind, Mind):
            return self._mind
        if self._mind == "local":
            return await asyncio.to_thread(_create_local_mind, self._llm_path)
        return await asyncio.to_thread(_create_scripted_mind, self._scenario, self.profile)

    async def _serve(self, mind: Mind) -> None:
        self.services = Services(mind, self.profile, faults=self.faults, log=self.log, **self._settings)
        await self._ports.open(self.services.interfaces, self.services.app(Control(self).routes()))


def _create_scripted_mind(scenario: Any, profile: Profile) -> Mind:
    parsed = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
    return create_scripted_mind(parsed, profile)


def _create_local_mind(llm_path: Path | None) -> Mind:
    try:
        local = importlib.import_module("halfcascade.emulator.minds.local")
    except ImportError as error:
        raise EmulatorError(
            f"The local mind is not installed ({error}): run {how_to_install('demo')}, or use `--mind scripted`."
        ) from error
    mind: Mind = local.create_local_mind(llm_path=llm_path)
    return mind
