"""How many of what listeners really say the lists of a language know, weighted by how often it is said.

python -m bench.barge_in.lists LANGUAGE FILE

``FILE`` holds lines of a text, a tab and how often it was said as a backchannel. Such counts are not part of
the project; bench/README.md says which were used.
"""

import argparse
import json
import sys
from pathlib import Path

from halfcascade.processors.language import turn_words


def measure(language: str, lines: list[str]) -> dict[str, object]:
    """Look each text up.

    Args:
        language: Locale.
        lines: Of the file.

    Returns:
        Counts of texts and of times they were said, and the most frequent texts that the lists do not know.
    """
    words = turn_words(language)
    counts = [(int(count), text) for text, _, count in (line.rpartition("\t") for line in lines) if count.isdigit()]
    unknown = [(count, text) for count, text in counts if not words.is_backchannel(text)]
    said, missed = sum(count for count, _ in counts), sum(count for count, _ in unknown)
    return {
        "texts": len(counts),
        "said": said,
        "known": round(1 - missed / said, 4),
        "unknown": [text for _, text in sorted(unknown, reverse=True)[:20]],
    }


def main() -> int:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language")
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    found = measure(options.language, options.file.read_text("utf-8").splitlines())
    print(json.dumps({"bench": "barge_in.lists", "language": options.language, **found}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
