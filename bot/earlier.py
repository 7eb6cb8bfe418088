"""An earlier talk taken up again: what was said and heard in it, as a context to begin with."""

from pathlib import Path
from typing import TYPE_CHECKING

from halfcascade.bot.report.saved import load_talk
from halfcascade.bot.session.names import EVENTS
from halfcascade.bot.session.transcript import BotSaid, UserSaid
from halfcascade.processors.errors import ConfigurationError

if TYPE_CHECKING:
    from pipecat.processors.aggregators.llm_context import LLMContextMessage

LAST = "last"
"""Stands for the newest talk."""

LONGEST_CONTEXT = 24_000
"""Characters of an earlier talk that a new one begins with; the newest are kept."""


class EarlierTalk:
    """What a talk is continued with.

    Args:
        wanted: The session folder, or ``last`` for the newest below ``root``.
        root: The folder that holds the session folders.

    Raises:
        ConfigurationError: If there is no such talk, or nothing was said in it.
    """

    def __init__(self, wanted: str, root: Path):
        self.folder = _newest(root) if wanted == LAST else Path(wanted)
        saved = load_talk(self.folder)
        self.language = str(saved.title.get("language", ""))
        said = [_message(each.entry) for each in saved.said if isinstance(each.entry, UserSaid | BotSaid)]
        self.messages: list[LLMContextMessage] = _newest_of([message for message in said if message])
        if not self.messages:
            raise ConfigurationError(f"Nothing was said in {self.folder}: there is nothing to continue.")

    def warning(self, language: str) -> str:
        """What a person should know before.

        Args:
            language: Locale of the new talk.

        Returns:
            One line, or nothing.
        """
        if not self.language or self.language == language:
            return ""
        before = self.language
        return f"The earlier talk was in {before}, this one is in {language}: --language {before} goes on in it."


def _message(entry: UserSaid | BotSaid) -> "LLMContextMessage | None":
    if isinstance(entry, UserSaid):
        text = "" if entry.backchannel else entry.text.strip()
        return {"role": "user", "content": text} if text else None
    heard = entry.heard_text
    return {"role": "assistant", "content": heard} if heard else None


def _newest_of(messages: "list[LLMContextMessage]") -> "list[LLMContextMessage]":
    kept: list[LLMContextMessage] = []
    room = LONGEST_CONTEXT
    for message in reversed(messages):
        room -= len(str(message.get("content", ""))) if isinstance(message, dict) else 0
        if room < 0:
            break
        kept.insert(0, message)
    return kept


def _newest(root: Path) -> Path:
    try:
        folders = [folder for folder in root.iterdir() if (folder / EVENTS).is_file()]
    except OSError:
        folders = []
    # A talk that said nothing is no talk one would want to continue; the folder's name breaks a tie.
    folders.sort(key=lambda folder: ((folder / EVENTS).stat().st_mtime, folder.name), reverse=True)
    for folder in folders:
        if any(isinstance(each.entry, UserSaid) for each in load_talk(folder).said):
            return folder
    raise ConfigurationError(f"There is no earlier talk in {root}: name its folder behind --continue.")
