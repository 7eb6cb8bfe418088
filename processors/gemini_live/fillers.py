"""Something to say while a function takes its time, and when no answer comes at all."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

FILLERS: dict[str, tuple[str, ...]] = {
    "en": ("One moment, please.", "Just a second.", "Still on it."),
    "ko": ("잠시만요.", "잠깐만 기다려 주세요.", "아직 확인하고 있어요."),
    "ja": ("少々お待ちください。", "確認しています。", "もう少しお待ちください。"),
    "zh": ("请稍等。", "我查一下。", "马上就好。"),
    "de": ("Einen Moment, bitte.", "Gleich habe ich es.", "Ich bin noch dabei."),
    "es": ("Un momento, por favor.", "Un segundo.", "Sigo en ello."),
    "fr": ("Un instant, s'il vous plaît.", "Une petite seconde.", "J'y suis presque."),
}
"""Spoken while a function runs, by language."""

APOLOGIES: dict[str, str] = {
    "en": "Sorry, I could not get an answer. Please say that again.",
    "ko": "죄송해요, 답을 가져오지 못했어요. 다시 말씀해 주세요.",
    "ja": "すみません、答えを取得できませんでした。もう一度お願いします。",
    "zh": "抱歉，我没能得到答案。请再说一遍。",
    "de": "Entschuldigung, ich habe keine Antwort bekommen. Bitte sagen Sie das noch einmal.",
    "es": "Lo siento, no he podido obtener una respuesta. Dígalo otra vez, por favor.",
    "fr": "Désolé, je n'ai pas pu obtenir de réponse. Pouvez-vous répéter ?",
}
"""Spoken when a turn gets no answer, by language."""


def in_language(table: dict[str, Any], code: str) -> Any:
    """Look up what is spoken in a language.

    Args:
        table: By primary language subtag.
        code: BCP 47 tag.

    Returns:
        The entry, English where there is none.
    """
    return table.get(code.split("-", maxsplit=1)[0].lower(), table["en"])


class Fillers:
    """Says something when a function takes longer than a set time; once for each call."""

    def __init__(
        self,
        say: Callable[[str], Awaitable[None]],
        create_task: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        cancel_task: Callable[[asyncio.Task[None]], Awaitable[Any]],
    ) -> None:
        """Start silent.

        Args:
            say: Speaks a text.
            create_task: Pipecat's.
            cancel_task: Pipecat's.
        """
        self._say = say
        self._create_task = create_task
        self._cancel_task = cancel_task
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._count = 0

    def begin(self, call_id: str, after: float, texts: tuple[str, ...]) -> None:
        """A function was called.

        Args:
            call_id: Id of the call.
            after: Seconds it may take without a word.
            texts: What to say, one text for each slow call in turn.
        """
        self._waiting[call_id] = self._create_task(self._wait(after, texts), f"filler for {call_id}")

    async def end(self, call_id: str) -> None:
        """The call is over.

        Args:
            call_id: Its id.
        """
        task = self._waiting.pop(call_id, None)
        if task is not None and not task.done():
            await self._cancel_task(task)

    async def end_all(self) -> None:
        """Nothing is to be said any more."""
        for call_id in list(self._waiting):
            await self.end(call_id)

    async def _wait(self, after: float, texts: tuple[str, ...]) -> None:
        await asyncio.sleep(after)
        text = texts[self._count % len(texts)]
        self._count += 1
        await self._say(text)
