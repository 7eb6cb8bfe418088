"""The local mind: real engines that need no network, from packages of the extra ``demo``.

Moonshine tiny-en hears (Whisper base, where it is installed, hears Korean), rules and SmolLM2-135M think, Piper speaks
in a process of its own. It is a stand-in: Gemini is the brain.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

from halfcascade.emulator.minds.base import Mind, MindError
from halfcascade.emulator.minds.local.listener import LocalListener, MoonshineEngine
from halfcascade.emulator.minds.local.packages import LLM_VARIABLE, has_piper, missing_packages, model_file
from halfcascade.emulator.minds.local.speaker import LocalSpeaker
from halfcascade.emulator.minds.local.speech_process import Engine, EspeakEngine, PiperEngine
from halfcascade.emulator.minds.local.thinker import LlamaModel, LocalThinker
from halfcascade.installing import how_to_install

__all__ = ["LocalMind", "create_local_mind", "missing_packages"]

Progress = Callable[[str, int, int], None]
"""Told when an engine is loaded: its name, how many are loaded, how many there are."""


@dataclass
class LocalMind(Mind):
    """A mind of local engines. ``start`` loads them side by side, in 1 to 3 seconds."""

    def __init__(self, ears: MoonshineEngine, model: LlamaModel, voice: Engine, progress: Progress | None):
        listener = LocalListener(ears)
        super().__init__(listener, LocalThinker(model), LocalSpeaker(voice, EspeakEngine()))
        self._listener = listener
        self._ears = ears
        self._model = model
        self._voice = voice
        self._progress = progress

    async def start(self) -> None:
        """Load the engines.

        Raises:
            MindError: One cannot be loaded.
        """
        loads = {
            "speech recognition": self._ears.load(),
            "language model": self._model.load(),
            "voice": self._voice.start(),
        }
        done = 0

        async def load(name: str) -> None:
            nonlocal done
            try:
                await loads[name]
            except MindError:
                raise
            except Exception as error:
                raise MindError(
                    f"The local mind's {name} cannot be loaded ({error}): install the extra `demo` anew, or name "
                    "another model file if you named one."
                ) from error
            done += 1
            if self._progress:
                self._progress(name, done, len(loads))

        try:
            async with asyncio.TaskGroup() as tasks:
                for name in loads:
                    tasks.create_task(load(name))
        except ExceptionGroup as errors:
            await self.close()
            raise errors.exceptions[0] from None

    async def close(self) -> None:
        """Release the engines."""
        await self._voice.close()
        self._model.close()
        self._ears.close()
        self._listener.close()


def create_local_mind(llm_path: str | os.PathLike[str] | None = None, *, progress: Progress | None = None) -> LocalMind:
    """Make the local mind; its ``start`` loads the engines.

    Parameters:
        llm_path: A GGUF file to think with. Default: that of ``HALFCASCADE_LLM_PATH``, else SmolLM2-135M-Instruct.
        progress: Told when an engine is loaded.

    Raises:
        MindError: Packages or the model file are missing; one line that says how to get them.
    """
    if missing := missing_packages():
        raise MindError(
            f"The local mind needs packages that are not installed: {', '.join(missing)}. "
            f"Run {how_to_install('demo')}, or use the other mind: `--mind scripted`."
        )
    try:
        path = model_file(llm_path)
    except FileNotFoundError as error:
        raise MindError(str(error)) from None
    small = not (llm_path or os.environ.get(LLM_VARIABLE))
    voice: Engine = PiperEngine() if has_piper() else EspeakEngine()
    return LocalMind(MoonshineEngine(), LlamaModel(path, small=small), voice, progress)
