"""Commands besides ``talk``, each module registered with the command line by its ``register``."""

from collections.abc import Callable
from typing import Any

from halfcascade.bot.settings import Settings
from halfcascade.bot.terminal import Terminal

SettingsOf = Callable[[dict[str, Any], Terminal], Settings]
"""Puts options over environment and settings file; ends with one line if that makes no sense."""
