"""Declaring functions, the built-in ones, and those of MCP servers."""

import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.adapters.llm.services.gemini_live_adapter import GeminiLiveLLMAdapter

from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.gemini_live import builtin_tools, mcp_tools
from halfcascade.processors.gemini_live.protocol.models import lookup
from halfcascade.processors.gemini_live.tools import declare, response_of

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def at_noon(zone: ZoneInfo | None) -> datetime:
    return NOON.astimezone(zone) if zone else NOON


def behaviors(model: str, *, is_async: bool) -> list[str | None]:
    tools: Any = GeminiLiveLLMAdapter().to_provider_tools_format(ToolsSchema(standard_tools=builtin_tools()[:1]))
    (tool,) = declare(tools, lookup(model), lambda _: is_async)
    assert "behavior" not in tools[0]["function_declarations"][0]
    return [function.get("behavior") for function in tool["function_declarations"]]


def test_functions_block_or_not_as_the_family_lets_them() -> None:
    assert behaviors("gemini-3.8-live", is_async=False) == ["BLOCKING"]
    assert behaviors("gemini-3.8-live", is_async=True) == ["NON_BLOCKING"]
    assert behaviors("gemini-3.8-live-extended-thinking", is_async=False) == [None]
    assert behaviors("gemini-3.8-live-extended-thinking", is_async=True) == ["NON_BLOCKING"]
    assert behaviors("gemini-3.1-flash-live-preview", is_async=True) == [None]
    assert behaviors("gemini-2.5-flash-native-audio-latest", is_async=False) == [None]


@pytest.mark.parametrize(
    ("result", "response"),
    [({"a": 1}, {"a": 1}), ("done", {"value": "done"}), (None, {"value": "COMPLETED"}), ([1], {"value": [1]})],
)
def test_results_are_objects(result: Any, response: dict[str, Any]) -> None:
    assert response_of(result) == response


async def run(name: str, *, llm: Any = None, tools: Any = None, **arguments: Any) -> Any:
    results: list[Any] = []

    async def report(result: Any, **_: Any) -> None:
        results.append(result)

    functions = {tool.__name__: tool for tool in tools or builtin_tools(at_noon)}
    await functions[name](SimpleNamespace(result_callback=report, llm=llm), **arguments)
    return results[0]


async def test_the_time_is_told_in_any_zone() -> None:
    assert await run("get_current_time") == {
        "date": "2026-11-23",
        "weekday": "Monday",
        "time": "12:00:00",
        "timezone": "local",
    }
    assert (await run("get_current_time", timezone="Asia/Seoul"))["time"] == "21:00:00"
    assert "no time zone" in (await run("get_current_time", timezone="Middle/Earth"))["error"]


class Llm:
    """As much of a service as timers need."""

    def __init__(self) -> None:
        self.pushed: list[Any] = []

    def create_task(self, coroutine: Any, name: str) -> Any:
        import asyncio

        return asyncio.create_task(coroutine, name=name)

    async def cancel_task(self, task: Any) -> None:
        task.cancel()

    async def push_frame(self, frame: Any) -> None:
        self.pushed.append(frame)


async def test_timers_are_set_listed_and_cancelled() -> None:
    tools, llm = builtin_tools(), Llm()
    assert await run("set_timer", llm=llm, tools=tools, seconds=100, label="Tea") == {
        "timer": 1,
        "label": "Tea",
        "seconds": 100,
    }
    await run("set_timer", llm=llm, tools=tools, seconds=200)
    listed = (await run("list_timers", tools=tools))["timers"]
    assert [(timer["label"], timer["seconds_left"]) for timer in listed] == [("Tea", 100), ("", 200)]
    assert await run("cancel_timer", tools=tools, label="tea") == {"cancelled": ["Tea"]}
    assert "error" in await run("cancel_timer", tools=tools, label="tea")
    assert await run("cancel_timer", tools=tools) == {"cancelled": ["timer 2"]}
    assert "error" in await run("set_timer", llm=llm, tools=tools, seconds=-1)
    assert not llm.pushed


MCP_SERVER = """
from mcp.server.{module} import {name}
server = {name}("test")
@server.tool()
def double(number: int) -> int:
    "Double a number."
    return 2 * number
server.run()
"""


def mcp_server() -> str:
    """The SDK's high-level server, under the name this version gives it."""
    mcpserver = pytest.importorskip("mcp.server")
    module, name = ("fastmcp", "FastMCP") if hasattr(mcpserver, "FastMCP") else ("mcpserver", "MCPServer")
    return MCP_SERVER.format(module=module, name=name)


async def test_functions_of_an_mcp_server_carry_their_handlers() -> None:
    import shlex

    tools = await mcp_tools(shlex.join([sys.executable, "-c", mcp_server()]))
    (double,) = tools
    try:
        assert double.name == "double"
        assert double.handler is not None
        results: list[Any] = []

        async def report(result: Any, **_: Any) -> None:
            results.append(result)

        await double.handler(
            SimpleNamespace(
                function_name="double", arguments={"number": 21}, result_callback=report, tool_call_id="1", llm=None
            )
        )
        assert "42" in str(results)
    finally:
        await double.handler._pipecat_cleanup()  # type: ignore[attr-defined]


async def test_an_mcp_server_that_cannot_be_used_gives_one_line() -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        await mcp_tools("/nowhere/mcp-server --stdio")
