"""The functions that one talk offers its model, from all sources, no two of one name."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipecat.adapters.llm.schemas.direct_function import DirectFunction
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.services.llm_service import FunctionCallParams

from halfcascade.lines import tr
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.gemini_live import builtin_tools
from halfcascade.processors.gemini_live.mcp_tools import CLOSE_SECS, McpServer

Tool = FunctionSchema | DirectFunction

_BUILT_IN = "built in"
_LONGEST_NAME = 64  # that a declaration may have


class Toolbox:
    """Built-in functions and those of MCP servers. Google refuses two declarations of one name.

    Who comes first keeps the name: the built-in ones, then servers in their order. A later function of that name gets
    its server's name in front.

    Args:
        builtin: Whether the built-in functions are there, whose names then are taken.
    """

    def __init__(self, *, builtin: bool):
        self.tools: list[FunctionSchema] = []
        """Functions of the servers, for `build_pipeline`, which adds the built-in ones."""
        self._names: dict[str, list[str]] = (
            {_BUILT_IN: [tool_name(tool) for tool in builtin_tools()]} if builtin else {}
        )
        self.renamed: list[str] = []
        """One line for each function that got another name."""
        self._servers: list[McpServer] = []

    async def add(self, server: McpServer) -> list[str]:
        """Connect a server and take its functions.

        Args:
            server: Which.

        Returns:
            Their names, as the model will see them.

        Raises:
            ConfigurationError: If the server cannot be used.
        """
        self._servers.append(server)
        found = [self._take(tool, server.name) for tool in await server.connect()]
        self.tools += found
        names = [tool.name for tool in found]
        self._names.setdefault(server.name, []).extend(names)
        return names

    def describe(self) -> str:
        """All functions by source, in one line of the reader's language; empty if there are none."""
        told = {_BUILT_IN: tr("built in")}
        return "; ".join(
            f"{', '.join(names)} ({told.get(source, source)})" for source, names in self._names.items() if names
        )

    async def close(self, secs: float = CLOSE_SECS) -> None:
        """Disconnect all servers, side by side.

        Args:
            secs: How long it may take.
        """
        await asyncio.gather(*(server.close(secs) for server in self._servers))

    def _take(self, tool: FunctionSchema, source: str) -> FunctionSchema:
        taken = {name for names in self._names.values() for name in names}
        if tool.name not in taken:
            return tool
        prefix = re.sub(r"\W+", "_", source)
        name = f"{prefix}_{tool.name}"[:_LONGEST_NAME]
        number = 2
        while name in taken:
            name, number = f"{prefix}_{number}_{tool.name}"[:_LONGEST_NAME], number + 1
        self.renamed.append(f"The tool {tool.name} of {source} is offered as {name}: that name was taken.")
        return _renamed(tool, name)


def check_names(tools: Sequence[Tool]) -> None:
    """Make sure that no two functions have one name.

    Args:
        tools: All functions of a talk.

    Raises:
        ConfigurationError: If two have.
    """
    names = [tool_name(tool) for tool in tools]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(
            f"Two tools are called {twice[0]}: rename one, or leave the built-in ones out with HALFCASCADE_TOOLS=false."
        )


def tool_name(tool: Tool) -> str:
    """The name under which a function is declared.

    Args:
        tool: A schema, or a function that Pipecat makes one of.
    """
    return tool.name if isinstance(tool, FunctionSchema) else str(getattr(tool, "__name__", tool))


def _renamed(tool: FunctionSchema, name: str) -> FunctionSchema:
    handler: Any = tool.handler

    async def call(params: FunctionCallParams) -> None:
        await handler(replace(params, function_name=tool.name))

    return FunctionSchema(name, tool.description, tool.properties, tool.required, handler=call)
