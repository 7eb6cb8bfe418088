"""Two talks side by side: what became better, what became worse, turn by turn."""

import difflib
import statistics
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.cells import cell_len

from halfcascade.bot.money import dollars
from halfcascade.bot.report.saved import SavedTalk, load_talk
from halfcascade.bot.session.metrics import Turn
from halfcascade.bot.session.transcript import BotSaid
from halfcascade.lines import tr

# The parts of a turn's latency, each from one stage to the next that was passed.
_PARTS = (
    ("ears", "final"),
    ("turn", "turn_sent"),
    ("brain", "first_text"),
    ("voice", "first_audio"),
    ("loudspeaker", "heard"),
)
# Turns whose words have less in common than this are not the same turn.
_SAME = 0.34
# How far apart two turns of one place may lie in the lists.
_BAND = 12
_NOTHING_USD = 0.0002


@dataclass(frozen=True)
class Limits:
    """What is a difference and what is chance.

    Parameters:
        latency_ms: Milliseconds that a turn's stage may take longer.
        words: Part of a turn's words that may be understood differently.
        said: Part of a reply's words that may be another.
        money: Part by which a talk may cost more.
    """

    latency_ms: float = 150.0
    words: float = 0.1
    said: float = 0.5
    money: float = 0.2


@dataclass(frozen=True)
class Finding:
    """One difference.

    Parameters:
        where: Turn of the first talk, 0 for the whole talk.
        what: What it is about: ``words``, ``latency``, ``lost``, ...
        worse: Whether it is for the worse; None where nobody can say.
        line: For a person.
    """

    where: int
    what: str
    worse: bool | None
    line: str


@dataclass
class Comparison:
    """What differs between two talks.

    Parameters:
        before: The first talk.
        after: The second.
        findings: The differences, whole talk first.
        pairs: How many turns were found in both.
    """

    before: SavedTalk
    after: SavedTalk
    findings: list[Finding] = field(default_factory=list)
    pairs: int = 0

    @property
    def worse(self) -> list[Finding]:
        """What became worse."""
        return [finding for finding in self.findings if finding.worse]

    def lines(self) -> Iterator[str]:
        """Tell it to a person, a line each."""
        marks = {True: tr("worse"), False: tr("better"), None: tr("other")}
        width = max(map(cell_len, marks.values()))
        for finding in self.findings:
            where = tr("turn {number}").format(number=finding.where) if finding.where else tr("talk")
            yield f"{_padded(marks[finding.worse], width)}  {_padded(where, 8)}  {finding.line}"
        worse, better = len(self.worse), sum(1 for finding in self.findings if finding.worse is False)
        other = len(self.findings) - worse - better
        counts = {"pairs": self.pairs, "worse": worse, "better": better, "other": other}
        yield tr("{pairs} turns in both; {worse} worse, {better} better, {other} other.").format(**counts)


def compare_talks(before: Path | SavedTalk, after: Path | SavedTalk, limits: Limits | None = None) -> Comparison:
    """Compare two session folders, the second against the first.

    Args:
        before: What it was like.
        after: What it is like.
        limits: What is a difference.

    Returns:
        The differences.

    Raises:
        ConfigurationError: If one of them holds no session.
    """
    first = before if isinstance(before, SavedTalk) else load_talk(before)
    second = after if isinstance(after, SavedTalk) else load_talk(after)
    limits = limits or Limits()
    result = Comparison(first, second)
    pairs = _pair(first.metrics.turns, second.metrics.turns)
    both = [(old, new) for old, new in pairs if old and new]
    result.pairs = len(both)
    result.findings += _whole(first, second, both, limits)
    old_replies, new_replies = _replies(first), _replies(second)
    for old, new in pairs:
        if old and new:
            result.findings += _words(old, new, limits)
            result.findings += _latency(old, new, limits)
            was, now = old_replies.get(old.number, []), new_replies.get(new.number, [])
            result.findings += _answers(old, new, was, now, limits)
        elif old:
            result.findings.append(
                Finding(old.number, "lost", True, tr("turn lost: {words}").format(words=_short(old.text)))
            )
        elif new:
            line = tr("turn that was none before: {words}").format(words=_short(new.text))
            result.findings.append(Finding(0, "extra", True, line))
    return result


def assert_no_worse(before: Path, after: Path, limits: Limits | None = None) -> None:
    """Fail if a talk became worse: for tests that keep a project's worst talks.

    Args:
        before: Session folder of what it was like.
        after: Session folder of what it is like.
        limits: What is a difference.

    Raises:
        AssertionError: If something did; the message tells what.
    """
    comparison = compare_talks(before, after, limits)
    if comparison.worse:
        raise AssertionError("\n".join(comparison.lines()))


def _whole(before: SavedTalk, after: SavedTalk, both: Sequence[tuple[Turn, Turn]], limits: Limits) -> Iterator[Finding]:
    latencies = [(old.latency_ms, new.latency_ms) for old, new in both if old.latency_ms and new.latency_ms]
    if latencies:
        was, now = (statistics.median(side) for side in zip(*latencies, strict=True))
        if abs(now - was) > limits.latency_ms:
            line = tr("median latency {was} → {now} ms").format(was=f"{was:.0f}", now=f"{now:.0f}")
            yield Finding(0, "latency", now > was, line)
    was_usd, now_usd = _usd(before), _usd(after)
    if was_usd is not None and now_usd is not None:
        chance = max(limits.money * was_usd, _NOTHING_USD)
        if abs(now_usd - was_usd) > chance:
            line = tr("cost {was} → {now}").format(was=dollars(was_usd), now=dollars(now_usd))
            yield Finding(0, "money", now_usd > was_usd, line)
    was_errors, now_errors = before.metrics.errors, after.metrics.errors
    if was_errors != now_errors:
        line = tr("errors {was} → {now}").format(was=was_errors, now=now_errors)
        yield Finding(0, "errors", now_errors > was_errors, line)
    was_cut, now_cut = (len(talk.metrics.interruptions) for talk in (before, after))
    if was_cut != now_cut:
        yield Finding(0, "interruptions", None, tr("interruptions {was} → {now}").format(was=was_cut, now=now_cut))


def _words(old: Turn, new: Turn, limits: Limits) -> Iterator[Finding]:
    rate = _difference(old.text, new.text)
    if rate > limits.words:
        told = tr("understood differently ({rate}): {was} → {now}")
        line = told.format(rate=f"{rate:.0%}", was=_short(old.text), now=_short(new.text))
        # Fewer words are words lost; whether other words are righter nobody can say.
        fewer = len(_tokens(new.text)) < len(_tokens(old.text))
        yield Finding(old.number, "words", True if fewer else None, line)


def _latency(old: Turn, new: Turn, limits: Limits) -> Iterator[Finding]:
    was, now = _parts(old), _parts(new)
    for name in was.keys() & now.keys():
        if abs(now[name] - was[name]) > limits.latency_ms:
            slower = now[name] > was[name]
            yield Finding(old.number, name, slower, f"{tr(name)} {was[name]} → {now[name]} ms")


def _answers(old: Turn, new: Turn, was: list[BotSaid], now: list[BotSaid], limits: Limits) -> Iterator[Finding]:
    said_before, said_now = (" ".join(reply.text for reply in side).strip() for side in (was, now))
    if bool(said_before) != bool(said_now):
        worse = bool(said_before)
        told = tr("no answer any more: {words}") if worse else tr("answered now: {words}")
        yield Finding(old.number, "answer", worse, told.format(words=_short(said_before or said_now)))
    elif (rate := _difference(said_before, said_now)) > limits.said:
        line = tr("another answer ({rate}): {words}").format(rate=f"{rate:.0%}", words=_short(said_now))
        yield Finding(old.number, "said", None, line)
    if old.interrupted != new.interrupted:
        line = tr("interrupted, was not before") if new.interrupted else tr("not interrupted any more")
        yield Finding(old.number, "interrupted", True, line)
    elif said_before and said_now and not new.interrupted:
        before, after = _share_heard(was), _share_heard(now)
        if abs(before - after) > 0.2:
            line = tr("of the answer {share} was heard").format(share=f"{after:.0%}")
            yield Finding(old.number, "heard", before > after, line)
    yield from _tools(old, new)


def _share_heard(replies: list[BotSaid]) -> float:
    said, heard = (" ".join(texts) for texts in zip(*((r.text, r.heard_text) for r in replies), strict=True))
    return len(_tokens(heard)) / max(1, len(_tokens(said)))


def _tools(old: Turn, new: Turn) -> Iterator[Finding]:
    if missing := [tool for tool in old.tools if tool not in new.tools]:
        yield Finding(old.number, "tools", True, tr("not called any more: {tools}").format(tools=", ".join(missing)))
    if added := [tool for tool in new.tools if tool not in old.tools]:
        yield Finding(old.number, "tools", None, tr("called now: {tools}").format(tools=", ".join(added)))


def _pair(before: Sequence[Turn], after: Sequence[Turn]) -> list[tuple[Turn | None, Turn | None]]:
    """Match the turns of two talks by their words, in order (alignment with gaps)."""
    rows, columns = len(before), len(after)
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    band = _BAND + abs(rows - columns)
    for row in range(rows - 1, -1, -1):
        for column in range(columns - 1, -1, -1):
            score = max(best[row + 1][column], best[row][column + 1])
            if abs(row - column) <= band and (likeness := _likeness(before[row], after[column])) >= _SAME:
                score = max(score, best[row + 1][column + 1] + likeness)
            best[row][column] = score
    pairs: list[tuple[Turn | None, Turn | None]] = []
    row = column = 0
    while row < rows and column < columns:
        if best[row][column] == best[row + 1][column]:
            pairs.append((before[row], None))
            row += 1
        elif best[row][column] == best[row][column + 1]:
            pairs.append((None, after[column]))
            column += 1
        else:
            pairs.append((before[row], after[column]))
            row, column = row + 1, column + 1
    return [*pairs, *((turn, None) for turn in before[row:]), *((None, turn) for turn in after[column:])]


def _likeness(old: Turn, new: Turn) -> float:
    if old.text == new.text:
        return 1.0
    return difflib.SequenceMatcher(None, old.text.casefold(), new.text.casefold(), autojunk=False).ratio()


def _replies(talk: SavedTalk) -> dict[int, list[BotSaid]]:
    """The replies of each turn."""
    starts = [(turn.at.get("turn_sent", 0.0), turn.number) for turn in talk.metrics.turns]
    found: dict[int, list[BotSaid]] = {}
    for said in talk.said:
        if isinstance(said.entry, BotSaid) and said.entry.text.strip():
            number = max((number for at, number in starts if at <= said.entry.t), default=0)
            found.setdefault(number, []).append(said.entry)
    return found


def _parts(turn: Turn) -> dict[str, int]:
    stages, parts, at = turn.stages_ms(), {}, 0
    for name, stage in _PARTS:
        if stage in stages:
            parts[name] = stages[stage] - at
            at = stages[stage]
    return parts


def _usd(talk: SavedTalk) -> float | None:
    bill = talk.metrics.bill()
    if talk.metrics.tariff.prices:
        return bill.usd
    money = talk.written.get("money", {})
    usd = money.get("usd") if isinstance(money, dict) else None
    return float(usd) if isinstance(usd, int | float) else None


def _tokens(text: str) -> list[str]:
    """Words without case and punctuation; single letters of scripts without spaces."""
    plain = "".join(letter if letter.isalnum() or letter.isspace() else " " for letter in text.casefold())
    words: list[str] = []
    for word in plain.split():
        wide = any(unicodedata.east_asian_width(letter) in "WF" and not "가" <= letter <= "힣" for letter in word)
        words += list(word) if wide else [word]
    return words


def _difference(old: str, new: str) -> float:
    """Words that were put in, left out or changed, as a part of those before."""
    was, now = _tokens(old), _tokens(new)
    if not was:
        return 1.0 if now else 0.0
    matcher = difflib.SequenceMatcher(None, was, now, autojunk=False)
    changed = sum(max(i2 - i1, j2 - j1) for kind, i1, i2, j1, j2 in matcher.get_opcodes() if kind != "equal")
    return changed / len(was)


def _padded(text: str, width: int) -> str:
    return text + " " * max(0, width - cell_len(text))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return f"“{text}”" if len(text) <= 60 else f"“{text[:57]}…”"
