"""All talks below a folder, searchable: an index that can be thrown away at any time, for the folders are the truth."""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loguru import logger

from halfcascade.bot.harmless import harmless
from halfcascade.bot.report.saved import SavedTalk, load_talk
from halfcascade.bot.session.names import EVENTS
from halfcascade.bot.session.transcript import BotSaid, UserSaid
from halfcascade.processors.errors import ConfigurationError

INDEX = ".index.sqlite"
# Another terminal may be writing; after this long an index in memory does as well.
_LOCKED_SECS = 3.0
# Raised when the columns change: an index of another version is made anew.
_VERSION = 1
# The clock of a talk starts with its first sound: what failed before (no loudspeaker, no network) is no talk.
_BEGAN = "seconds > 0"
_SCHEMA = """
create table talks (folder text primary key, stamp text, started text, seconds real, language text, model text,
                    turns integer, usd real, emulated integer, unpriced integer, reason text, first text);
create virtual table words using fts5 (folder unindexed, said, tokenize = 'unicode61 remove_diacritics 2');
"""


@dataclass(frozen=True)
class Listed:
    """One talk of the list.

    Parameters:
        folder: Its folder.
        started: When it began, ISO 8601, or "".
        seconds: How long it was.
        language: Its locale.
        turns: How many there were.
        usd: What it cost, or would have.
        emulated: Whether nothing was billed.
        unpriced: Whether something in it has no price.
        reason: Why it ended, "" if unknown.
        excerpt: What was said: the place that was searched for, else the beginning.
    """

    folder: Path
    started: str
    seconds: float
    language: str
    turns: int
    usd: float
    emulated: bool
    unpriced: bool
    reason: str
    excerpt: str


@dataclass(frozen=True)
class Month:
    """What the talks of a month come to.

    Parameters:
        month: Such as ``2026-11``.
        talks: How many.
        seconds: How long together.
        usd: What they cost; talks with the emulator cost nothing.
    """

    month: str
    talks: int
    seconds: float
    usd: float


class SessionIndex:
    """The talks in the folders right below one.

    Args:
        root: The folder; it need not exist.
    """

    def __init__(self, root: Path):
        self._root = root
        self._db = self._open()

    def __enter__(self) -> "SessionIndex":
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def refresh(self) -> None:
        """Take in what is new or has changed, and forget what is gone."""
        known = dict(self._db.execute("select folder, stamp from talks"))
        found = {}
        for folder in self._folders():
            with suppress(OSError):
                state = (folder / EVENTS).stat()
                found[folder.name] = f"{state.st_mtime_ns}:{state.st_size}"
        with self._db:
            for name in known.keys() - found.keys():
                self._forget(name)
            for name in sorted(found):
                if known.get(name) != found[name]:
                    self._forget(name)
                    self._take(name, found[name])

    def talks(self, query: str = "", limit: int = 1_000) -> list[Listed]:
        """List talks, the newest first.

        Args:
            query: Words that were said, by anybody, in any order; beginnings of words do. Empty for all.
            limit: How many at most.

        Returns:
            The talks.
        """
        columns = "t.folder, started, seconds, language, turns, usd, emulated, unpriced, reason"
        words = _query(query)
        if words:
            snippet = "snippet(words, 1, '', '', ' … ', 14)"
            found = self._db.execute(
                f"select {columns}, {snippet} from words join talks t using (folder) where {_BEGAN} and words match ? "  # noqa: S608
                "order by started desc limit ?",
                (words, limit),
            ).fetchall()
            # Scripts without spaces: a word within a run of signs begins no token.
            found = (
                found
                or self._db.execute(
                    f"select {columns}, substr(said, max(1, instr(said, ?) - 30), 80) from words "  # noqa: S608
                    f"join talks t using (folder) where {_BEGAN} and instr(said, ?) > 0 order by started desc limit ?",
                    (query.strip(), query.strip(), limit),
                ).fetchall()
            )
        else:
            found = self._db.execute(
                f"select {columns}, first from talks t where {_BEGAN} order by started desc, t.folder desc limit ?",  # noqa: S608
                (limit,),
            ).fetchall()
        return [self._listed(row) for row in found]

    def months(self) -> list[Month]:
        """Sum up the months, the newest first."""
        rows = self._db.execute(
            "select substr(started, 1, 7) as month, count(*), sum(seconds), sum(iif(emulated, 0, usd)) from talks "  # noqa: S608
            f"where started != '' and {_BEGAN} group by month order by month desc"
        )
        return [Month(month, talks, seconds, usd) for month, talks, seconds, usd in rows]

    def _listed(self, row: tuple[Any, ...]) -> Listed:
        folder, started, seconds, language, turns, usd, emulated, unpriced, reason, excerpt = row
        excerpt = " ".join(str(excerpt or "").split())
        return Listed(
            self._root / folder, started, seconds, language, turns, usd, bool(emulated), bool(unpriced), reason, excerpt
        )

    def _folders(self) -> Iterator[Path]:
        with suppress(OSError):
            for entry in sorted(self._root.iterdir()):
                if (entry / EVENTS).is_file():
                    yield entry

    def _forget(self, name: str) -> None:
        self._db.execute("delete from talks where folder = ?", (name,))
        self._db.execute("delete from words where folder = ?", (name,))

    def _take(self, name: str, stamp: str) -> None:
        try:
            talk = load_talk(self._root / name)
        except ConfigurationError as error:
            logger.warning(f"{name} is left out: {error}")
            return
        said = harmless("\n".join(_said(talk)), lines=True, longest=10**7)
        money = talk.written.get("money", {})
        money = money if isinstance(money, dict) else {}
        usd = money.get("usd")
        row = (
            name,
            stamp,
            talk.started,
            max((event.t for event in talk.events), default=0.0),
            str(talk.title.get("language", "")),
            str(talk.title.get("model", "")),
            len(talk.metrics.turns),
            float(usd) if isinstance(usd, int | float) else 0.0,
            int(talk.metrics.emulated),
            int(bool(money.get("unknown")) or not money),
            talk.reason,
            said[:200],
        )
        self._db.execute(f"insert into talks values ({', '.join('?' * len(row))})", row)  # noqa: S608
        self._db.execute("insert into words values (?, ?)", (name, said))

    def _open(self) -> sqlite3.Connection:
        path = self._root / INDEX
        for _ in range(2):
            try:
                if not self._root.is_dir():
                    break
                return _prepared(sqlite3.connect(path, timeout=_LOCKED_SECS))
            except sqlite3.OperationalError as error:  # locked, read-only, full
                logger.info(f"The index {path} cannot be used ({error}).")
                break
            except sqlite3.DatabaseError:  # not an index at all: made anew
                with suppress(OSError):
                    path.unlink()
        return _prepared(sqlite3.connect(":memory:"))


def _prepared(db: sqlite3.Connection) -> sqlite3.Connection:
    try:
        if db.execute("pragma user_version").fetchone()[0] != _VERSION:
            with db:
                for (table,) in db.execute(
                    "select name from sqlite_master where name in ('talks', 'words')"
                ).fetchall():
                    db.execute(f"drop table {table}")
                db.executescript(_SCHEMA)
                db.execute(f"pragma user_version = {_VERSION}")
        db.execute("select count(*) from talks, words").fetchone()
        with db:  # fails here, not later, where the file cannot be written
            db.execute("delete from talks where folder = ''")
    except sqlite3.Error:
        db.close()
        raise
    return db


def _said(talk: SavedTalk) -> Iterator[str]:
    for said in talk.said:
        if isinstance(said.entry, UserSaid):
            yield said.entry.text
        elif isinstance(said.entry, BotSaid):
            yield said.entry.heard_text


def _query(query: str) -> str:
    """Every word as a beginning, quoted, so that nothing in it is an operator."""
    words = [word.replace('"', "") for word in query.split()]
    return " ".join(f'"{word}"*' for word in words if any(letter.isalnum() for letter in word))


def spent_this_month(root: Path, month: str) -> float:
    """What the talks of a month have cost so far.

    Args:
        root: Folder of the session folders.
        month: Such as ``2026-11``.

    Returns:
        US dollars.
    """
    with SessionIndex(root) as index:
        index.refresh()
        return next((each.usd for each in index.months() if each.month == month), 0.0)
