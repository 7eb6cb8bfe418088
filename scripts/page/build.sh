#!/usr/bin/env bash
# Bundle Pipecat's client for the page, with the licences of everything that is in it. Needs Node.js and npm.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
vendor=$here/../../bot/serve/page/vendor
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cp "$here"/package.json "$here"/*.js "$build"
cd "$build"
npm install --silent --no-audit --no-fund --no-package-lock
node node_modules/esbuild/install.js 2> /dev/null || true
mkdir -p "$vendor"
node_modules/.bin/esbuild entry.js --bundle --format=esm --minify --target=es2022 --legal-comments=none \
    --alias:@daily-co/daily-js=./no-daily.js --metafile=meta.json --outfile="$vendor/pipecat-client.js"
node licences.js > "$vendor/LICENCES.txt"
