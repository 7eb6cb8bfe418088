"""The first sound of an answer, made ready while it is still open whether the answer will be given."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from pipecat.utils.text.base_text_aggregator import Aggregation

from halfcascade.processors.chirp_tts.stream import TaskFactory
from halfcascade.processors.chirp_tts.text import SpeechTextAggregator


@dataclass
class _Sound:
    text: str
    chunks: list[bytes] = field(default_factory=list)
    over: bool = False
    error: Exception | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class ForeseenStart:
    """Synthesizes the first segment of a text that may be withdrawn, and keeps its sound until it is asked for.

    It costs the characters of one segment, whatever becomes of the answer. Nothing of it is pushed, so a withdrawn
    answer leaves nothing to undo.
    """

    def __init__(self, synthesize: Callable[[str], AsyncIterator[bytes]], create_task: TaskFactory):
        """Start with nothing foreseen.

        Args:
            synthesize: Gives the audio of a text.
            create_task: The processor's task manager.
        """
        self._synthesize = synthesize
        self._create_task = create_task
        self._cutter: SpeechTextAggregator | None = None
        self._sound: _Sound | None = None

    def wrote(self, text: str, cutter: SpeechTextAggregator, words: Callable[[Aggregation], str]) -> None:
        """Take text of the answer, as it comes.

        Args:
            text: The next characters.
            cutter: What will cut the answer, if it is given; it is copied.
            words: Tells what is said of a segment; nothing for one that is only shown.
        """
        if self._sound is not None:
            return
        if self._cutter is None:
            self._cutter = cutter.twin()
        for segment in self._cutter.cut(text):
            if said := words(segment):
                self._sound = _Sound(said)
                self._sound.task = self._create_task(self._fetch(self._sound))
                return

    def take(self, text: str) -> AsyncIterator[bytes] | None:
        """Get the sound of the answer's first segment, now that it is to be said.

        Args:
            text: What is to be said.

        Returns:
            16-bit mono PCM, what there is of it at once; None if something else was foreseen, or nothing, or it failed.
        """
        sound, self._sound, self._cutter = self._sound, None, None
        if sound is None:
            return None
        if sound.text == text and not (sound.error and not sound.chunks):
            return self._play(sound)
        self._stop(sound)
        return None

    def drop(self) -> str:
        """The answer is withdrawn.

        Returns:
            The text whose sound was made for nothing, or "".
        """
        sound, self._sound, self._cutter = self._sound, None, None
        if sound is None:
            return ""
        self._stop(sound)
        return sound.text

    async def _fetch(self, sound: _Sound) -> None:
        try:
            async for chunk in self._synthesize(sound.text):
                sound.chunks.append(chunk)
                sound.changed.set()
        except Exception as error:
            # Told to whoever takes the sound, who asks for it once more.
            sound.error = error
        finally:
            sound.over = True
            sound.changed.set()

    async def _play(self, sound: _Sound) -> AsyncIterator[bytes]:
        given = 0
        try:
            while True:
                while given < len(sound.chunks):
                    given += 1
                    yield sound.chunks[given - 1]
                if sound.over:
                    break
                sound.changed.clear()
                await sound.changed.wait()
        finally:
            self._stop(sound)
        if sound.error:
            raise sound.error

    def _stop(self, sound: _Sound) -> None:
        if sound.task is not None and not sound.task.done():
            sound.task.cancel()
