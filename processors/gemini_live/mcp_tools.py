"""Functions of MCP servers for the model, through Pipecat's MCP client."""

import asyncio
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema

from halfcascade.processors.errors import ConfigurationError

CONNECT_SECS = 30.0
"""How long a server may take to come up and list its functions, in seconds; ``uvx`` downloads it first."""

CLOSE_SECS = 5.0


class McpServer:
    """One MCP server: its functions, and the connection that serves them.

    Args:
        server: URL of a streamable HTTP server (``https://...``), or the command line of a local one.
        only: Names of the functions that are wanted; None takes all.
    """

    def __init__(self, server: str, *, only: list[str] | None = None):
        self._is_url = urlsplit(server).scheme in ("http", "https")
        self._server = server
        self._only = only
        self._client: Any = None
        self.name = self._short_name()
        """Host or program, for a person; without the arguments and credentials that the address may hold."""

    async def connect(self, secs: float = CONNECT_SECS) -> list[FunctionSchema]:
        """Connect and list the functions; they carry their handlers.

        Args:
            secs: How long that may take.

        Returns:
            Schemas for ``LLMContext(tools=...)``.

        Raises:
            ConfigurationError: If the MCP extra is not installed, or the server cannot be reached.
        """
        try:
            from mcp import StdioServerParameters
            from mcp.client.session_group import StreamableHttpParameters
            from pipecat.services.mcp_service import MCPClient, ServerParameters
        except ImportError as error:
            raise ConfigurationError("MCP servers need Pipecat's mcp extra: install pipecat-ai[mcp].") from error
        parameters: ServerParameters
        try:
            if self._is_url:
                parameters = StreamableHttpParameters(url=self._server)
            else:
                command, *arguments = shlex.split(self._server) or [""]
                parameters = StdioServerParameters(command=command, args=arguments)
            self._client = MCPClient(server_params=parameters, tools_filter=self._only)
            schema = await self._listed(secs)
        except Exception as error:
            # Whatever the transport raises, a person can only check the address; the cause's first line helps there.
            cause = (str(error).splitlines() or [""])[0] or type(error).__name__
            if isinstance(error, TimeoutError):
                cause = f"no answer within {secs:.0f} s"
            raise ConfigurationError(
                f"The MCP server {self.name} cannot be used ({cause}): check its address or command."
            ) from error
        return list(schema.standard_tools)

    async def close(self, secs: float = CLOSE_SECS) -> None:
        """Disconnect, in limited time. The pipeline that uses the functions does so too when it is torn down.

        Args:
            secs: How long it may take.
        """
        if self._client is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._client.close(), secs)

    async def _listed(self, secs: float) -> Any:
        try:
            async with asyncio.timeout(secs):
                return await self._client.tools()
        except BaseException:
            # The client ends the server in a task of its own, which takes seconds and would be stuck for good if the
            # event loop, ending too, cancelled it once more.
            owners = {task for task in asyncio.all_tasks() if task.get_name().startswith(str(self._client))}
            if owners:
                await asyncio.wait(owners, timeout=CLOSE_SECS)
            raise

    def _short_name(self) -> str:
        if self._is_url:
            return urlsplit(self._server).hostname or "server"
        try:
            words = shlex.split(self._server)
        except ValueError:  # connecting tells
            words = self._server.split()
        # Of `uvx mcp-server-time --local-timezone X` the second word is the name; options never are.
        named = [word for word in words if not word.startswith("-")]
        runs_another = len(named) > 1 and Path(named[0]).name in _RUNNERS and not re.search(r"\s", named[1])
        return Path(named[runs_another] if named else "server").name


async def mcp_tools(server: str, *, only: list[str] | None = None) -> list[FunctionSchema]:
    """Connect an MCP server and get its functions, for ``LLMContext(tools=...)``.

    The functions carry their handlers; the connection is closed when the pipeline that uses them is torn down.

    Args:
        server: URL of a streamable HTTP server (``https://...``), or the command line of a local one.
        only: Names of the functions that are wanted; None takes all.

    Returns:
        Schemas with handlers.

    Raises:
        ConfigurationError: If the MCP extra is not installed, or the server cannot be reached.
    """
    return await McpServer(server, only=only).connect()


# Programs that run another, which the next word names.
_RUNNERS = {"uvx", "npx", "uv", "python", "python3", "node", "docker"}
