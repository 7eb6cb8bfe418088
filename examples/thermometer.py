"""Give the model a function of your own, and ask for it by typing.

    python -m examples.thermometer "How warm is it in the kitchen?"

A tool is an async function with type hints and a docstring, from which Pipecat makes the declaration that the model
reads. In a talk, hand it to ``build_pipeline(transport, settings, tools=[room_temperature])``.
"""

import asyncio
import sys

from pipecat.services.llm_service import FunctionCallParams

from halfcascade.processors.alone import TypedConversation

_CELSIUS = {"kitchen": 22.5, "bedroom": 18.0}


async def room_temperature(params: FunctionCallParams, room: str) -> None:
    """Tell how warm a room is.

    Args:
        params: How the result goes back; the model does not see this one.
        room: Name of the room, such as kitchen.
    """
    celsius = _CELSIUS.get(room.lower())
    known = {"celsius": celsius} if celsius else {"error": f"There is no thermometer in the {room}."}
    await params.result_callback(known)


async def main(question: str) -> str:
    """Ask one question and print the answer as it comes.

    Args:
        question: What the user types.

    Returns:
        The answer.
    """
    answer = ""
    async with TypedConversation(tools=[room_temperature]) as chat:
        async for piece in chat.ask(question):
            print(piece, end="", flush=True)
            answer += piece
    print()
    return answer


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "How warm is it in the kitchen?"))
