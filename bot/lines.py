"""Lines for people in their own language: gettext catalogues, one file a language, English where there is none."""

import gettext
import locale
from pathlib import Path

_FOLDER = Path(__file__).parent / "assets" / "locale"
_DOMAIN = "halfcascade"
_chosen: gettext.NullTranslations = gettext.NullTranslations()


def use_language(language: str | None = None) -> None:
    """Choose the language of all lines from now on.

    Args:
        language: BCP 47 tag of the talk, or None for the locale of this machine.
    """
    global _chosen  # noqa: PLW0603 one process speaks one language to its terminal
    code = language or locale.getlocale(locale.LC_MESSAGES if hasattr(locale, "LC_MESSAGES") else locale.LC_CTYPE)[0]
    names = [(code or "").replace("-", "_"), (code or "").replace("-", "_").split("_")[0]]
    _chosen = gettext.translation(_DOMAIN, _FOLDER, [name for name in names if name] or ["en"], fallback=True)


def tr(line: str) -> str:
    """Translate a line; values are put in afterwards with ``str.format``.

    Args:
        line: In English.
    """
    return _chosen.gettext(line)
