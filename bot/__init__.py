"""The application: what is chained and how a person starts it.

``bot`` is the function by which Pipecat's runner and Pipecat Cloud start a talk.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipecat.runner.types import RunnerArguments


async def bot(runner_args: "RunnerArguments") -> None:
    """Hold one talk over what a client has opened, by the convention of Pipecat's runner.

    Args:
        runner_args: What was opened.
    """
    from halfcascade.bot.serve.house import hosted_house
    from halfcascade.bot.serve.visit import Visit

    await Visit(await hosted_house(), runner_args).hold()
