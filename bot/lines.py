"""Lines for people in their own language: gettext catalogues, a ``.po`` file each, English where there is none."""

import ast
import gettext
import locale
from pathlib import Path

CATALOGUES = Path(__file__).parent / "assets" / "locale"


class Catalogue(gettext.NullTranslations):
    """The lines of one language, read from its ``.po`` file as translators' tools write it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path):
        super().__init__()
        self.lines = {line: told for line, told in read_catalogue(path).items() if line and told}

    def gettext(self, message: str) -> str:
        """Translate a line.

        Args:
            message: In English.
        """
        return self.lines.get(message, message)


def read_catalogue(path: Path) -> dict[str, str]:
    """Read a ``.po`` file: messages without plurals and contexts.

    Args:
        path: The file.

    Returns:
        Translations by English line; the head of the file under "".
    """
    entries: dict[str, str] = {}
    parts: dict[str, str] = {}
    field = ""
    for line in [*path.read_text(encoding="utf-8").splitlines(), 'msgid ""']:
        keyword, _, rest = line.strip().partition(" ")
        if keyword in ("msgid", "msgstr"):
            if keyword == "msgid" and "msgstr" in parts:
                entries[parts["msgid"]] = parts.pop("msgstr")
            field = keyword
            parts[field] = ast.literal_eval(rest)
        elif line.startswith('"') and field:
            parts[field] += ast.literal_eval(line)
    return entries


_chosen: gettext.NullTranslations = gettext.NullTranslations()


def use_language(language: str | None = None) -> None:
    """Choose the language of all lines from now on.

    Args:
        language: BCP 47 tag of the talk, or None for the locale of this machine.
    """
    global _chosen  # noqa: PLW0603 one process speaks one language to its terminal
    code = (language or locale.getlocale()[0] or "").replace("_", "-").split("-")[0].lower()
    path = CATALOGUES / f"{code}.po"
    _chosen = Catalogue(path) if code and path.is_file() else gettext.NullTranslations()


def tr(line: str) -> str:
    """Translate a line; values are put in afterwards with ``str.format``.

    Args:
        line: In English.
    """
    return _chosen.gettext(line)
