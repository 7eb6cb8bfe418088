"""The places of a Ray cluster: started on every node that offers room, asked how they are, missed when they die.

A node says how many talks it holds by Ray's custom resource ``talks`` (``ray start --resources '{"talks": 12}'``). For
each `--most-talks` of them a place is started there, in a process of its own.
"""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from loguru import logger

from halfcascade.bot.scale.place import Place
from halfcascade.bot.scale.placement import Placement, Report
from halfcascade.bot.serve.settings import ServeSettings
from halfcascade.bot.settings import Settings
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.extras import missing_extra
from halfcascade.processors.threads import on_daemon_thread

NAMESPACE = "halfcascade"
RESOURCE = "talks"
_CONNECT_SECS = 60.0
_LOOK_SECS = 1.0
_ANSWER_SECS = 3.0
# Loading networks on a busy node takes its time.
_OPEN_SECS = 120.0
_AGAIN_SECS = 10.0
# A place whose process does not answer at all, in so many looks, is taken for dead before Ray says so.
_MISSES = 3


class Fleet:
    """Starts places and keeps a `Placement` up to date. Made by `fleet_of`.

    Args:
        placement: Learns how the places are.
        make: Starts a place, or finds it where an earlier front has left it: given its name, node and address.
        nodes: Gives Ray's list of nodes.
        most: Talks of one place.
        on_lost: Called with a place's name and the number of talks that it took along.
    """

    def __init__(
        self,
        placement: Placement,
        make: Callable[[str, str], Any],
        nodes: Callable[[], list[dict[str, Any]]],
        most: int,
        on_lost: Callable[[str, int], None],
    ):
        self._placement = placement
        self._make = make
        self._nodes = nodes
        self._most = most
        self._on_lost = on_lost
        self._actors: dict[str, Any] = {}
        self._node_of: dict[str, str] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, float] = {}
        self._misses: dict[str, int] = {}

    async def watch(self) -> None:
        """Look after the places until cancelled."""
        while True:
            try:
                await self._look()
            except Exception:  # what Ray raises while its head is away; talks go on meanwhile
                logger.exception("The cluster could not be looked at.")
            await asyncio.sleep(_LOOK_SECS)

    async def issue(self, name: str, wishes: Mapping[str, Any]) -> str | None:
        """Ask a place for a ticket.

        Args:
            name: Of the place.
            wishes: What is asked for.

        Returns:
            The ticket, or None if it gives none, for want of room or of life.
        """
        actor = self._actors.get(name)
        if actor is None:
            return None
        try:
            return await asyncio.wait_for(_answer(actor.issue.remote(dict(wishes))), _ANSWER_SECS)
        except Exception as error:  # dead, hung, or cut off: another place will do
            logger.warning(f"{name} gives no ticket ({type(error).__name__}).")
            return None

    async def drain(self, patience: float) -> None:
        """Let the places finish their talks, and end them.

        Args:
            patience: How long talks may go on, in seconds.
        """
        import ray

        for task in self._opening.values():
            task.cancel()
        asked = [_answer(actor.drain.remote(patience)) for name, actor in self._actors.items() if self._is_open(name)]
        if asked:
            await asyncio.wait([asyncio.ensure_future(one) for one in asked], timeout=patience + _ANSWER_SECS)
        for actor in self._actors.values():
            await asyncio.to_thread(ray.kill, actor)

    def _is_open(self, name: str) -> bool:
        return name in self._placement.reports

    async def _look(self) -> None:
        nodes = await asyncio.to_thread(self._nodes)
        alive = {node["NodeID"]: node for node in nodes if node["Alive"]}
        for name in [name for name, node in self._node_of.items() if node not in alive]:
            self._lose(name, "its node died")
        for node_id, node in alive.items():
            for index in range(int(node["Resources"].get(RESOURCE, 0) // self._most)):
                await self._ensure(f"place-{node_id[:12]}-{index}", node_id, node["NodeManagerAddress"])
        await asyncio.gather(*(self._ask(name) for name in list(self._actors) if self._is_open(name)))

    async def _ensure(self, name: str, node_id: str, host: str) -> None:
        if name in self._actors or time.monotonic() < self._not_before.get(name, 0.0):
            return
        self._actors[name] = await asyncio.to_thread(self._make, name, node_id)
        self._node_of[name] = node_id
        self._opening[name] = asyncio.create_task(self._open(name, host), name=f"open {name}")

    async def _open(self, name: str, host: str) -> None:
        try:
            report = await asyncio.wait_for(_answer(self._actors[name].open.remote(host)), _OPEN_SECS)
        except Exception as error:  # of the place's making, or Ray's
            logger.error(f"{name} on {host} does not open: {getattr(error, 'cause', None) or error}")
            self._lose(name, "it did not open")
        else:
            self._placement.seen(name, report, time.monotonic())
            logger.info(f"{name} holds up to {report.most} talks at {report.url}.")

    async def _ask(self, name: str) -> None:
        from ray.exceptions import ActorDiedError

        try:
            report: Report = await asyncio.wait_for(_answer(self._actors[name].report.remote()), _ANSWER_SECS)
        except ActorDiedError:
            self._lose(name, "its process died")
        except TimeoutError:
            pass  # busy; `Placement` sends nobody to a place that is silent for too long
        except Exception as error:  # its process cannot be reached, and Ray does not know yet why
            self._misses[name] = self._misses.get(name, 0) + 1
            if self._misses[name] >= _MISSES:
                self._lose(name, f"it cannot be reached ({type(error).__name__})")
        else:
            self._misses.pop(name, None)
            self._placement.seen(name, report, time.monotonic())

    def _lose(self, name: str, why: str) -> None:
        was_open = self._is_open(name)
        self._actors.pop(name, None)
        self._node_of.pop(name, None)
        self._misses.pop(name, None)
        self._not_before[name] = time.monotonic() + _AGAIN_SECS
        talks = self._placement.gone(name)
        if was_open:
            logger.error(f"{name} is lost with {talks} talks: {why}.")
            self._on_lost(name, talks)


async def _answer(reference: Any) -> Any:
    """Await an answer of Ray's as a coroutine."""
    return await reference


@asynccontextmanager
async def fleet_of(
    settings: Settings,
    serve: ServeSettings,
    placement: Placement,
    *,
    origins: Sequence[str],
    emulator: Mapping[str, str] | None,
    on_lost: Callable[[str, int], None],
) -> AsyncIterator[Fleet]:
    """Connect to a cluster and look after its places.

    Args:
        settings: What a talk is like.
        serve: What the server is like; ``cluster`` names the cluster.
        placement: Learns how the places are.
        origins: Origins of pages that may connect.
        emulator: Variables that lead to an emulator of this machine, or None.
        on_lost: Called with a place's name and the number of talks that it took along.

    Raises:
        ConfigurationError: If there is no such cluster.
    """
    # Nothing of this shall be told to anybody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
    except ImportError as error:
        raise missing_extra("scale", error) from error

    quiet: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": logging.ERROR}
    if serve.cluster == "local":
        quiet |= {"include_dashboard": False, "resources": {RESOURCE: serve.most_talks}}
    else:
        quiet |= {"address": serve.cluster}
    try:
        # Looking for a cluster that does not answer cannot be interrupted: nobody shall wait for its thread. A cluster
        # of this process ends with the thread that has started it, which therefore is one that stays.
        on_thread = asyncio.to_thread if serve.cluster == "local" else on_daemon_thread
        await asyncio.wait_for(on_thread(partial(ray.init, **quiet)), _CONNECT_SECS)
    except (TimeoutError, ConnectionError, ValueError, RuntimeError) as error:
        first = str(error).strip().partition("\n")[0] or "no answer"
        raise ConfigurationError(
            f"The Ray cluster {serve.cluster} cannot be reached ({first}): check its address, or try --cluster local."
        ) from error
    _take_signals_back()
    # Async calls of one place run side by side on its event loop.
    actor = ray.remote(Place)
    here = ray.util.get_node_ip_address()

    def make(name: str, node_id: str) -> Any:
        options = {
            "name": name,
            # A front that is started anew finds its places, and their talks have gone on.
            "lifetime": "detached",
            "get_if_exists": True,
            "num_cpus": 0,
            "resources": {RESOURCE: serve.most_talks},
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node_id, soft=False),
        }
        return actor.options(**options).remote(settings, serve, origins, emulator, here)

    fleet = Fleet(placement, make, ray.nodes, serve.most_talks, on_lost)
    watching = asyncio.create_task(fleet.watch(), name="fleet")
    try:
        yield fleet
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await asyncio.to_thread(ray.shutdown)


def _take_signals_back() -> None:
    """Ray has put a handler of its own under Python's, which aborts the process; put Python's on top again."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.getsignal(number) or signal.SIG_DFL)
