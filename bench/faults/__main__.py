"""Hold the talks of the table and print it.

    python -m bench.faults                     every cell, several at once, those left out that are kept already
    python -m bench.faults --only ears-mute    those whose names hold this
    python -m bench.faults --list              names only
    python -m bench.faults --write             the table of all kept cells into bench/README.md

A cell is mostly waiting, so several run at once, each in a process of its own. Finished cells are kept at once
(``--keep``), so that the table can be made in pieces; ``--again`` runs kept ones, too.
"""

import argparse
import json
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np

from bench.faults.cells import FAULTS, FOR_EVER, Cell, cells
from bench.faults.talk import Result, hold, prepare

PAGE = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- faults -->", "<!-- end of faults -->"


def _hold_all(chosen: Sequence[Cell], jobs: int) -> Iterator[Result]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=prepare) as pool:
        for done in as_completed([pool.submit(hold, cell) for cell in chosen]):
            yield done.result()


class Kept:
    """Finished talks in a file.

    Args:
        path: The file; made with the first result.
    """

    def __init__(self, path: Path):
        self._path = path
        found = json.loads(path.read_text("utf-8")) if path.exists() else []
        known = {cell.name for cell in cells()}
        self.results = {entry["name"]: Result(**entry) for entry in found if entry["name"] in known}

    def add(self, result: Result) -> None:
        """Keep one more; the file is replaced whole, so that it is never half written."""
        self.results[result.name] = result
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps([asdict(kept) for kept in self.results.values()], indent=1), "utf-8")
        new.replace(self._path)


_HEAD = f"{'cell':<30}{'silent':>7}{'unanswered':>11}{'lost':>6}{'doubled':>8}{'knew':>7}{'back':>7}{'exit':>5}"


def _line(r: Result) -> str:
    back = "" if r.back is None else f"{r.back:.1f}"
    return f"{r.name:<30}{r.silent:>7}{r.unanswered:>11}{r.lost:>6}{r.doubled:>8}{r.knew:>7.1f}{back:>7}{r.code:>5}"


def _p95(values: Sequence[float]) -> str:
    return f"{np.percentile(values, 95):.1f} s" if values else ""


def _row(name: str, results: Sequence[Result], by_name: dict[str, Cell]) -> str:
    """One row of the page: counts are sums, words only where the service came back within 20 s."""
    short = [r for r in results if by_name[r.name].secs < FOR_EVER]
    cells_ = [
        name,
        str(len(results)),
        str(sum(r.bad for r in results)),
        str(sum(r.unanswered for r in results)),
        f"{sum(r.lost for r in short)} / {sum(r.doubled for r in short)}" if short else "",
        _p95([r.knew for r in results]),
        _p95([r.back for r in short if r.back is not None]),
    ]
    return f"| {' | '.join(cells_)} |"


def page(results: Sequence[Result]) -> str:
    """The table of ``bench/README.md``, a row for each service and fault.

    Args:
        results: Of any cells.

    Returns:
        Markdown.
    """
    by_name = {cell.name: cell for cell in cells()}
    groups: dict[str, list[Result]] = {}
    for result in sorted(results, key=lambda r: list(by_name).index(r.name)):
        cell = by_name[result.name]
        groups.setdefault(f"{cell.service}: {FAULTS[cell.fault]}", []).append(result)
    loads = [r.load for r in results]
    bad = [r.name for r in results if r.bad]
    lossy = [f"{r.name} ({r.lost} / {r.doubled})" for r in results if r.lost or r.doubled]
    return "\n".join(
        [
            f"`python -m bench.faults --write`, {date.today().isoformat()}, load {min(loads):g} to {max(loads):g}, "
            "its own included.",
            "",
            "| what fails | talks | bad | turns without an answer | words lost / doubled | something is heard, p95 "
            "| answer once it is back, p95 |",
            "|---|---|---|---|---|---|---|",
            *(_row(name, group, by_name) for name, group in groups.items()),
            _row("**all**", results, by_name),
            "",
            f"Bad (a turn after which nothing was heard, or a talk that ended): {', '.join(bad) or 'none'}.",
            f"Words lost / doubled in: {', '.join(lossy) or 'none'}.",
        ]
    )


def _write(results: Sequence[Result]) -> None:
    text = PAGE.read_text("utf-8")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    PAGE.write_text(f"{head}{BEGIN}\n{page(results)}\n{END}{tail}", "utf-8")


def main() -> int:
    """Hold the talks and print the table.

    Returns:
        1 if a cell is bad.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[""], help="cells whose names hold one of these")
    parser.add_argument("--jobs", type=int, default=5, help="how many talks at once (default: 5)")
    parser.add_argument("--list", action="store_true", help="print the names of the cells")
    parser.add_argument("--keep", type=Path, default=Path(".cache/faults.json"), help="where finished cells are kept")
    parser.add_argument("--again", action="store_true", help="run cells that are kept, too")
    parser.add_argument("--write", action="store_true", help="write the table of all kept cells into bench/README.md")
    options = parser.parse_args()
    chosen = [cell for cell in cells() if any(part in cell.name for part in options.only)]
    if options.list:
        print("\n".join(cell.name for cell in chosen))
        return 0
    kept = Kept(options.keep)
    left = [cell for cell in chosen if options.again or cell.name not in kept.results]
    print(_HEAD, flush=True)
    for result in _hold_all(left, max(1, options.jobs)):
        kept.add(result)
        print(_line(result), *([result.failure] if result.failure else []), flush=True)
    results = [kept.results[cell.name] for cell in chosen if cell.name in kept.results]
    bad = [r.name for r in results if r.bad]
    print(f"{len(results)} cells, {len(bad)} bad: {', '.join(bad) or 'none'}")
    if options.write:
        _write(list(kept.results.values()))
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
