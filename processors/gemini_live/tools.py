"""Declaring functions to the model, wording their results, and filling the silence while they run."""

from collections.abc import Callable
from typing import Any

from pipecat.adapters.llm.services.gemini_live_adapter import GeminiLiveLLMAdapter

from processors.gemini_live.models import LiveModel

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


def declare(tools: list[Any], model: LiveModel, is_async: Callable[[str], bool]) -> list[Any]:
    """Say of each declared function whether the model waits for its result, as far as its family lets us.

    A function that is cancelled by interruptions (Pipecat's default) blocks: the answer waits for the result, without
    a filler of the model's own. One that outlives interruptions does not block.

    Args:
        tools: Declarations in Gemini's form, as Pipecat's adapter makes them. Not changed.
        model: Row of the model.
        is_async: Tells whether the named function outlives interruptions.

    Returns:
        Declarations with ``behavior`` where the model needs it said.
    """
    declared: list[Any] = []
    for tool in tools:
        functions = tool.get("function_declarations") if isinstance(tool, dict) else None
        if not functions:
            declared.append(tool)
            continue
        declared.append(
            {**tool, "function_declarations": [{**f, **_behavior(model, is_async(f["name"]))} for f in functions]}
        )
    return declared


def _behavior(model: LiveModel, is_async: bool) -> dict[str, str]:
    if is_async:
        return {"behavior": "NON_BLOCKING"} if model.non_blocking_tools else {}
    if model.tools_default_non_blocking:
        # Extended thinking refuses BLOCKING; leaving it out behaved as blocking there (facts C4).
        return {"behavior": "BLOCKING"} if model.blocking_tools else {}
    return {}


def response_of(result: Any) -> dict[str, Any]:
    """Word a function's result as the API takes it.

    Args:
        result: What the function reported; None if it reported nothing.

    Returns:
        A JSON object.
    """
    return GeminiLiveLLMAdapter.to_function_response_dict("COMPLETED" if result is None else result)
