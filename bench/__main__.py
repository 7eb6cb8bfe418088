"""Run every measurement of ``bench/README.md``, one after the other, on an otherwise quiet machine.

python -m bench [NAME ...]
"""

import subprocess
import sys

BENCHES = (
    "start",
    "brain",
    "voice",
    "latency",
    "turns",
    "openers",
    "listening",
    "joins",
    "barge_in.measure",
    "barge_in.answers",
    "audio",
    "room",
)


def main(names: list[str]) -> int:
    """Run the named benches, each in a process of its own.

    Args:
        names: Some of ``BENCHES``; empty for all.

    Returns:
        The highest exit code.
    """
    unknown = set(names) - set(BENCHES)
    if unknown:
        print(f"No bench is called {', '.join(sorted(unknown))}: choose from {', '.join(BENCHES)}.", file=sys.stderr)
        return 2
    codes = []
    for name in names or BENCHES:
        print(f"== bench.{name}", flush=True)
        codes.append(subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
