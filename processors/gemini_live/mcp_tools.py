"""Functions of MCP servers for the model, through Pipecat's MCP client."""

import shlex
from urllib.parse import urlsplit

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema

from halfcascade.processors.errors import ConfigurationError


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
    try:
        from mcp import StdioServerParameters
        from mcp.client.session_group import StreamableHttpParameters
        from pipecat.services.mcp_service import MCPClient, ServerParameters
    except ImportError as error:
        raise ConfigurationError("MCP servers need Pipecat's mcp extra: install pipecat-ai[mcp].") from error
    parameters: ServerParameters
    if urlsplit(server).scheme in ("http", "https"):
        parameters, name = StreamableHttpParameters(url=server), urlsplit(server).hostname or server
    else:
        command, *arguments = shlex.split(server) or [""]
        parameters, name = StdioServerParameters(command=command, args=arguments), command
    try:
        schema = await MCPClient(server_params=parameters, tools_filter=only).tools()
    except Exception as error:
        # Whatever the transport raises, a person can only check the address; the cause's first line helps with that.
        cause = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise ConfigurationError(
            f"The MCP server {name} cannot be used ({cause}): check its address or command."
        ) from error
    return list(schema.standard_tools)
