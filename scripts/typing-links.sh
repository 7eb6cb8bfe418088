#!/usr/bin/env bash
# Lay out the package as it is when built (halfcascade/bot, ...), as links, for tools that read code without running it.
set -euo pipefail
cd "$(dirname "$0")/.."
layout=.cache/typing/halfcascade
rm -rf "$layout"
mkdir -p "$layout"
for file in package/*; do ln -s "../../../$file" "$layout/"; done
for room in bot processors transports emulator; do ln -s "../../../$room" "$layout/$room"; done
