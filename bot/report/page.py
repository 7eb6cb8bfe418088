"""One HTML page without network that shows and plays a talk."""

import base64
import functools
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from halfcascade.bot.harmless import harmless
from halfcascade.bot.money import Tariff
from halfcascade.bot.report.saved import Said, SavedTalk, Word, load_talk
from halfcascade.bot.report.sound import PEAKS_PER_SEC, Sound, compress
from halfcascade.bot.session.events import Event, EventType
from halfcascade.bot.session.metrics import STAGES, Turn, summary
from halfcascade.bot.session.names import REPORT, REPORT_SOUND
from halfcascade.bot.session.reply_text import letters, parts_of
from halfcascade.bot.session.transcript import BotSaid, Fate, Problem, Prompt, ToolUsed, UserSaid
from halfcascade.lines import tr, tr_error
from halfcascade.processors.errors import ConfigurationError

_ASSETS = Path(__file__).parents[1] / "assets" / "report"
_SCRIPTS = (
    "wavesurfer.min.js",
    "wavesurfer.regions.min.js",
    "wavesurfer.timeline.min.js",
    "wavesurfer.minimap.min.js",
    "report.js",
)
_MARKS = {
    EventType.INTERRUPTED: "interruption",
    EventType.BACKCHANNEL: "backchannel",
    EventType.DEVICE: "device",
    EventType.ERROR: "error",
    EventType.TOOL_CALL: "tool",
    EventType.TURN_REOPENED: "reopened",
    EventType.BUDGET: "budget",
}
# A turn that took longer than this many times the median, or than this, is pointed out.
_SLOW_FACTOR = 1.5
_SLOW_MS = 1_500
# In the script a line stands in a call of `tr`, in the page in an element marked for it.
_LINES = re.compile(r'\btr\("([^"]+)"| data-t>([^<]+)<')


def write_report(folder: Path, tariff: Tariff | None = None, budget_ms: int = _SLOW_MS) -> Path:
    """Make the page of a session folder, in place of the one it may have.

    Args:
        folder: The session folder.
        tariff: What things cost; None takes the sums that ``metrics.json`` holds.
        budget_ms: Latency above which a turn counts as slow.

    Returns:
        The page.

    Raises:
        ConfigurationError: If the folder holds no session, or the page cannot be written.
    """
    talk = load_talk(folder)
    talk.metrics.tariff = tariff or talk.metrics.tariff
    sound = _sound_of(talk)
    page = folder / REPORT
    try:
        beside = sound.mp3 and not sound.fits
        if beside:
            _replace(folder / REPORT_SOUND, sound.mp3)
        _replace(page, render(talk, sound, budget_ms=budget_ms).encode("utf-8", errors="replace"))
    except OSError as error:
        why = error.strerror or error
        raise ConfigurationError(f"{page} cannot be written ({why}): free some space, then `report` again.") from error
    return page


def render(talk: SavedTalk, sound: Sound, *, budget_ms: int = _SLOW_MS) -> str:
    """Write the page.

    Args:
        talk: What happened.
        sound: The recording.
        budget_ms: Latency above which a turn counts as slow.

    Returns:
        HTML; everything that came from outside is in one JSON block, and shown as text only.
    """
    data = describe(talk, sound, budget_ms=budget_ms)
    # Whatever the JSON holds, it cannot end its element.
    block = json.dumps(data, ensure_ascii=False, default=str).replace("<", "\\u003c")
    audio = base64.b64encode(sound.mp3).decode() if sound.fits else ""
    parts = {
        "style": (_ASSETS / "report.css").read_text("utf-8"),
        "data": block,
        "audio": audio,
        "scripts": "\n".join(f"<script>{(_ASSETS / name).read_text('utf-8')}</script>" for name in _SCRIPTS),
    }
    pieces = (_ASSETS / "report.html").read_text("utf-8").split("%%")
    return "".join(parts[piece] if index % 2 else piece for index, piece in enumerate(pieces))


def describe(talk: SavedTalk, sound: Sound, *, budget_ms: int = _SLOW_MS) -> dict[str, Any]:
    """Gather what the page shows.

    Args:
        talk: What happened.
        sound: The recording.
        budget_ms: Latency above which a turn counts as slow.

    Returns:
        JSON-like values; all texts harmless.
    """
    title = {name: value for name, value in talk.title.items() if name not in ("started", "settings") and value}
    last = max([sound.seconds, *(event.t for event in talk.events[-1:])], default=0.0)
    return _harmless(
        {
            "lines": {line: tr(line) for line in lines_of_the_page()},
            "title": title,
            "settings": talk.title.get("settings", {}),
            "started": talk.started,
            "reason": talk.reason,
            "seconds": last,
            "folder": talk.folder.resolve().name,
            "problems": [tr_error(problem) for problem in talk.problems],
            "peaks": sound.peaks_as_text(),
            "peaks_per_sec": PEAKS_PER_SEC,
            "sound_seconds": sound.seconds,
            "sound_file": "" if sound.fits or not sound.mp3 else REPORT_SOUND,
            "entries": [_entry(said) for said in talk.said],
            "marks": [_mark(event) for event in talk.events if event.type in _MARKS],
            "stages": list(STAGES),
            "transport": talk.written.get("transport", {}),
            **_figures(talk, budget_ms),
        }
    )


def _figures(talk: SavedTalk, budget_ms: int) -> dict[str, Any]:
    """What was measured, of each turn and of the whole talk."""
    metrics, priced = talk.metrics.as_dict(), bool(talk.metrics.tariff.prices)
    prices = [] if priced else _written_prices(talk)
    median = metrics["latency_ms"].get("median", 0)
    slow = max(budget_ms, _SLOW_FACTOR * median) if median < budget_ms else budget_ms
    return {
        "turns": [
            {**_turn(turn), "slow": (turn.latency_ms or 0) > slow, "money": _money(turn, talk, prices)}
            for turn in talk.metrics.turns
        ],
        "interruption_ms": summary([each["ms"] for each in metrics["interruptions"] if each["ms"] is not None]),
        "money": metrics["money"] if priced else talk.written.get("money", {}),
        **{name: metrics[name] for name in ("latency_ms", "stages_ms", "interruptions", "usage", "errors")},
    }


@functools.cache
def lines_of_the_page() -> frozenset[str]:
    """The lines for a person in the page's own files, which are in English."""
    files = "".join((_ASSETS / name).read_text("utf-8") for name in ("report.js", "report.html"))
    return frozenset(script or page for script, page in _LINES.findall(files))


def _sound_of(talk: SavedTalk) -> Sound:
    nothing = Sound(b"", (b"", b""), 0.0)
    if not talk.recordings:
        talk.problems.append("There is no recording: the page shows words and figures only.")
        return nothing
    try:
        return compress(talk.recordings)
    except (OSError, ImportError) as error:
        talk.problems.append(f"The recording cannot be read ({error}): the page shows words and figures only.")
        return nothing


def _entry(said: Said) -> dict[str, Any]:
    entry = said.entry
    words = [[word.t, word.text] for word in said.words]
    common = {"t": entry.t, "end": max(said.end, entry.t), "words": words}
    match entry:
        case UserSaid():
            return {**common, "who": "user", "text": entry.text, "backchannel": entry.backchannel}
        case BotSaid():
            reached = [piece.text for piece in entry.pieces() if piece.fate is Fate.HEARD]
            shown = [part.text for text in reached for part in parts_of(text) if part.shown]
            told = {"pieces": _pieces(entry, said.words), "shown": shown, "interrupted": entry.interrupted}
            return {**common, "who": "bot", **told}
        case ToolUsed():
            result = "…" if entry.result is None else json.dumps(entry.result, ensure_ascii=False, default=str)
            arguments = json.dumps(entry.arguments, ensure_ascii=False, default=str)
            return {**common, "who": "tool", "text": f"{entry.name} {arguments} → {result}"}
        case Prompt():
            return {**common, "who": "prompt", "text": entry.text}
        case Problem():
            return {**common, "who": "error", "text": entry.message}


def _pieces(entry: BotSaid, heard_words: Sequence[Word]) -> list[dict[str, Any]]:
    """What was said of a reply, each piece with the words that were heard of it, as written, and their times."""
    pieces, words = entry.pieces(), [[word.t, word.written] for word in heard_words if word.written]
    last = max((place for place, piece in enumerate(pieces) if piece.fate is Fate.HEARD), default=-1)
    found = []
    for place, piece in enumerate(pieces):
        heard = piece.fate is Fate.HEARD
        prose = " ".join(part.text for part in parts_of(piece.text) if not part.shown) if heard else piece.text.strip()
        mine: list[list[Any]] = []
        letters_left = len(letters(prose)[0])
        # Folders of earlier versions have words as they are spoken: the last piece takes what is left.
        while heard and words and (place == last or letters_left > 0):
            mine.append(words.pop(0))
            letters_left -= len(letters(mine[-1][1])[0])
        found.append({"text": prose, "heard": heard, "words": mine})
    return found


def _mark(event: Event) -> dict[str, Any]:
    fields = event.fields
    label = fields.get("message") or fields.get("text") or fields.get("name") or fields.get("state") or ""
    return {"t": event.t, "kind": _MARKS[event.type], "label": str(label)}


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "turn": turn.number,
        "text": turn.text,
        "at": turn.at.get("end_of_speech", turn.at.get("turn_sent", 0.0)),
        "latency_ms": turn.latency_ms,
        "stages_ms": turn.stages_ms(),
        "interrupted": turn.interrupted,
        "tools": turn.tools,
        "usage": dict(turn.usage),
    }


def _written_prices(talk: SavedTalk) -> list[Mapping[str, Any]]:
    turns = talk.written.get("turns", [])
    return turns if isinstance(turns, list) else []


def _money(turn: Turn, talk: SavedTalk, written: list[Mapping[str, Any]]) -> dict[str, Any]:
    if talk.metrics.tariff.prices:
        return talk.metrics.tariff.bill(turn.usage).as_dict()
    with suppress(IndexError, AttributeError):
        return dict(written[turn.number - 1].get("money", {}))
    return {}


def _harmless(value: Any) -> Any:
    if isinstance(value, str):
        return harmless(value, lines=True)
    if isinstance(value, Mapping):
        return {harmless(str(key)): _harmless(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_harmless(item) for item in value]
    return value


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_bytes(content)
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise
