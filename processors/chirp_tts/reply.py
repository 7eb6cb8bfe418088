"""What of one reply is said, shown and silent, as far as that takes memory."""

from dataclasses import dataclass, field

from halfcascade.processors.language import Shown

SHOWN_KINDS = frozenset(("code", "table", "picture", "formula"))
"""Text types of what is only looked at; a short phrase is said in its place, once for each kind."""

SILENT = "silent"
"""Text type of what is neither said nor looked at."""


@dataclass
class ReplyAccount:
    """What happened to a reply so far.

    Parameters:
        spoken: Whether anything was given to the voice.
        silent: Text without anything to say, which goes with what follows it.
    """

    spoken: bool = False
    silent: str = ""
    _announced: set[str] = field(default_factory=set)

    def announcement(self, kind: str, shown: Shown) -> str:
        """Tell what to say in place of something that is shown.

        Args:
            kind: What it is.
            shown: The phrases of the language.

        Returns:
            The phrase; empty if it was said before in this reply, or the language has none.
        """
        if kind in self._announced:
            return ""
        self._announced.add(kind)
        return str(getattr(shown, kind))
