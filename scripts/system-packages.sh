#!/usr/bin/env bash
# Install the system packages that pip cannot: PortAudio with headers, a compiler for PyAudio, and what a target asks for.
#   system-packages.sh [demo] [test]
# Installs only what is missing; uses sudo only when not root; says what to do where it cannot.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }
have() { command -v "$1" > /dev/null 2>&1; }
wants() { case " $WANTED " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
WANTED="$*"

portaudio_present() {
    [ -e /usr/include/portaudio.h ] || [ -e /usr/local/include/portaudio.h ] || [ -e /opt/homebrew/include/portaudio.h ]
}

python_headers_present() {
    "${PYTHON:-python3}" -c 'import os, sysconfig, sys
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' 2> /dev/null
}

apt_packages() {
    portaudio_present || echo portaudio19-dev
    have cc || have gcc || echo build-essential
    python_headers_present || echo python3-dev
    "${PYTHON:-python3}" -c 'import ensurepip' 2> /dev/null || echo python3-venv
    if wants demo || wants test; then have espeak-ng || echo espeak-ng; fi
    if wants test; then
        have pulseaudio || echo pulseaudio
        have pactl || echo pulseaudio-utils
        have chromium || have google-chrome || echo chromium
        ls /usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so > /dev/null 2>&1 || echo libasound2-plugins
    fi
}

brew_packages() {
    portaudio_present || echo portaudio
    if wants demo || wants test; then have espeak-ng || echo espeak-ng; fi
}

if have apt-get; then
    packages=$(apt_packages | tr '\n' ' ')
    [ -z "${packages// /}" ] && exit 0
    as_root=""
    if [ "$(id -u)" -ne 0 ]; then
        have sudo || { say "Missing system packages: $packages- ask an administrator to run: apt-get install $packages"; exit 1; }
        as_root=sudo
    fi
    say "Installing system packages: $packages"
    # shellcheck disable=SC2086
    { $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $packages > /dev/null; } ||
        { say "Could not install them. Install by hand: apt-get install $packages"; exit 1; }
elif have brew; then
    packages=$(brew_packages | tr '\n' ' ')
    [ -z "${packages// /}" ] && exit 0
    say "Installing with Homebrew: $packages"
    # shellcheck disable=SC2086
    brew install --quiet $packages || { say "Could not install them. Install by hand: brew install $packages"; exit 1; }
elif ! portaudio_present; then
    say "PortAudio and its headers are missing and neither apt-get nor brew is here: install PortAudio (package names:"
    say "portaudio-devel on Fedora, portaudio on Arch) and a C compiler, then run make again."
    exit 1
fi
