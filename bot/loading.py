"""What takes seconds before a talk can begin, once for a process: modules, and the networks that listen."""

import asyncio
import gc
import importlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from loguru import logger

from halfcascade.processors.threads import on_daemon_thread


async def load(languages: Sequence[str], modules: Sequence[str] = (), *, imported: asyncio.Event | None = None) -> None:
    """Import and load it, on threads that nobody has to wait for after Ctrl-C.

    Args:
        languages: Locales that are listened for.
        modules: What else is imported, by full names.
        imported: Set once all modules are there, which may be long before the networks are.
    """
    with _uncollected():
        await _told("the turns", "halfcascade.processors.turns")
        # What loads networks does not need Python's lock for most of it, so modules are imported meanwhile.
        await asyncio.gather(_networks(languages), _modules(modules, imported))


async def _modules(modules: Sequence[str], imported: asyncio.Event | None) -> None:
    await _told("the talk", "halfcascade.bot.talk", *modules)
    if imported:
        imported.set()


async def _told(what: str, *modules: str) -> None:
    with _timed(what):
        for module in modules:
            await on_daemon_thread(importlib.import_module, module)


async def _networks(languages: Sequence[str]) -> None:
    from halfcascade.processors.turns.networks import load_networks

    with _timed("the networks"):
        await on_daemon_thread(load_networks, *languages)


@contextmanager
def _timed(what: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    logger.info(f"Loaded {what} in {time.perf_counter() - began:.2f} s.")


@contextmanager
def _uncollected() -> Iterator[None]:
    """Collect no garbage while next to none arises, and never again look for it in what has been loaded.

    A whole collection would look at 180,000 objects, for a tenth of a second in which the event loop serves nobody.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
