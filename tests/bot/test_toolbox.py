"""Functions from several sources: each has a name of its own, and is called by it."""

from typing import Any

import pytest
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.services.llm_service import FunctionCallParams

from halfcascade.bot.pipeline import build_pipeline
from halfcascade.bot.settings import Settings
from halfcascade.bot.toolbox import Toolbox, check_names
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.gemini_live import builtin_tools
from halfcascade.processors.gemini_live.mcp_tools import McpServer
from halfcascade.transports.wav import WavTransport


class Server:
    """An MCP server with some functions, without a process."""

    def __init__(self, name: str, *tools: str):
        self.name = name
        self.called: list[str] = []
        self.closed = False
        self._tools = tools

    async def connect(self) -> list[FunctionSchema]:
        async def handler(params: FunctionCallParams) -> None:
            self.called.append(params.function_name)

        return [FunctionSchema(tool, "What it does.", {}, [], handler=handler) for tool in self._tools]

    async def close(self, secs: float = 1.0) -> None:
        self.closed = True


async def test_a_name_that_is_taken_gets_the_servers_in_front_and_still_reaches_it():
    box = Toolbox(builtin=True)
    first, second = (
        Server("mcp-server-time", "get_current_time", "convert_time"),
        Server("time.example", "convert_time"),
    )
    assert await box.add(first) == ["mcp_server_time_get_current_time", "convert_time"]
    assert await box.add(second) == ["time_example_convert_time"]
    check_names([*builtin_tools(), *box.tools])
    assert len(box.renamed) == 2
    assert "get_current_time of mcp-server-time is offered as mcp_server_time_get_current_time" in box.renamed[0]
    assert "convert_time (mcp-server-time)" in box.describe() and "get_current_time" in box.describe()
    for tool in box.tools:
        assert tool.handler is not None
        nothing: Any = None
        await tool.handler(FunctionCallParams(tool.name, "1", {}, nothing, nothing, nothing, nothing))
    assert first.called == ["get_current_time", "convert_time"] and second.called == ["convert_time"]
    await box.close()
    assert first.closed and second.closed


async def test_three_of_one_name_of_servers_of_one_name_differ():
    box = Toolbox(builtin=False)
    for _ in range(3):
        await box.add(Server("same", "do"))
    names = [tool.name for tool in box.tools]
    assert len(set(names)) == 3 and names[0] == "do"


async def test_long_names_stay_short_enough_to_be_declared():
    box = Toolbox(builtin=False)
    for _ in range(2):
        await box.add(Server("s" * 80, "d" * 60))
    assert len({tool.name for tool in box.tools}) == 2
    assert all(len(tool.name) <= 64 for tool in box.tools)


def test_two_functions_of_one_name_in_a_program_of_ones_own_are_refused():
    async def get_current_time(params: FunctionCallParams) -> None:
        """Tell the time."""

    settings = Settings(_env_file=None)
    with pytest.raises(ConfigurationError, match="Two tools are called get_current_time: rename one"):
        build_pipeline(WavTransport(), settings, [get_current_time])
    check_names([get_current_time])


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("uvx mcp-server-time --local-timezone Asia/Seoul", "mcp-server-time"),
        ("npx -y @scope/server", "server"),
        ("/usr/bin/thing --token private", "thing"),
        ("python -m mcp_server", "mcp_server"),
        ("https://user:private@host.example:8080/mcp?key=private", "host.example"),
        ("", "server"),
        ("python -c 'import this\nprint(1)'", "python"),
        ("an 'unfinished quote", "an"),
    ],
)
def test_a_server_is_called_by_its_name_without_secrets(address: Any, name: str):
    assert McpServer(address).name == name
