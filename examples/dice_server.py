"""Offer tools to the model from a process of their own: an MCP server.

    HALFCASCADE_MCP_SERVERS="python -m examples.dice_server" halfcascade talk

The same server serves any other MCP client. It talks over stdin and stdout, so it must not print.
"""

import secrets

from mcp.server import MCPServer

server = MCPServer("dice")


@server.tool()
def roll_dice(sides: int = 6, count: int = 1) -> list[int]:
    """Roll some dice.

    Args:
        sides: How many sides each has, 2 to 100.
        count: How many are rolled, 1 to 20.

    Returns:
        What each shows.
    """
    if not (2 <= sides <= 100 and 1 <= count <= 20):
        raise ValueError("Dice have 2 to 100 sides, and at most 20 are rolled at once.")
    return [1 + secrets.randbelow(sides) for _ in range(count)]


if __name__ == "__main__":
    server.run()
