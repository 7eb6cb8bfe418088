"""The replies of ``tests/data/replies.toml``, with the locale that speaks them."""

import tomllib
from pathlib import Path

_TABLE: dict[str, dict[str, list[str]]] = tomllib.loads(
    (Path(__file__).parents[2] / "data" / "replies.toml").read_text("utf-8")
)
_LOCALES = {
    "en": "en-US", "ko": "ko-KR", "ja": "ja-JP", "zh": "cmn-CN", "de": "de-DE", "es": "es-ES", "fr": "fr-FR",
    "hi": "hi-IN", "th": "th-TH", "ar": "ar-XA", "pt": "pt-BR", "it": "it-IT", "sv": "sv-SE",
    "mixed_ko": "ko-KR", "mixed_en": "en-US",
}  # fmt: skip

REPLIES: list[tuple[str, str]] = [
    (_LOCALES[name], text) for name, kinds in _TABLE.items() for texts in kinds.values() for text in texts
]
"""Locale and text of each."""
