#!/usr/bin/env bash
# Compile the exact pins in requirements/ from pyproject.toml: versions and hashes, no index addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
compile() {
    local out=$1
    shift
    {
        echo "# Exact pins, transitive ones too. Made by scripts/pin.sh from pyproject.toml; do not edit."
        "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
            --no-emit-index-url --no-emit-find-links "$@" pyproject.toml
    } > "$out.new"
    mv "$out.new" "$out"
}
compile requirements/base.txt --extra talk
compile requirements/demo.txt --extra demo --extra screen -c requirements/base.txt
compile requirements/serve.txt --extra serve --extra trace --extra demo --extra screen -c requirements/demo.txt
compile requirements/dev.txt --extra serve --extra trace --extra demo --extra screen --group dev -c requirements/serve.txt
compile requirements/server.txt --extra serve --extra trace -c requirements/serve.txt
compile requirements/scale.txt --extra scale --extra trace --extra demo --extra screen --group dev -c requirements/dev.txt
