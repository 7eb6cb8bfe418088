"""A short word in the bot's own voice while an answer is slow, so that nobody wonders whether it heard."""

from halfcascade.processors.openers.machine import OPENER, OpenerMachine, OpenerMode, OpenerParams

__all__ = ["OPENER", "OpenerMachine", "OpenerMode", "OpenerParams"]
