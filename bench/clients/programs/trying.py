"""Cases that a program runs one after the other, telling of each in one JSON line. Knows nothing of this project."""

import asyncio
import inspect
import json
import os
import sys
import time
import wave

CASES = {}
PATIENCE = 40.0


def case(name):
    """Register a function as a case: it returns what is shown, and fails by raising."""

    def register(function):
        CASES[name] = function
        return function

    return register


def speech():
    """Give 16-bit mono PCM at 16 kHz: somebody speaks, then nobody."""
    with wave.open(os.environ["CLIENTS_WAV"]) as file:
        assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
        return file.readframes(file.getnframes()) + bytes(48_000)


def pieces(pcm, size=3_200):
    """Cut audio as a microphone gives it."""
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]


def expect(found, wanted):
    """Fail unless a text holds another."""
    assert wanted.lower() in str(found).lower(), f"expected {wanted!r} in {str(found)[:300]!r}"
    return str(found)[:80]


def run():
    """Run all cases, or those that are named."""

    async def one(function):
        async with asyncio.timeout(PATIENCE):
            return await function()

    for name, function in CASES.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        began = time.monotonic()
        try:
            shown = asyncio.run(one(function)) if inspect.iscoroutinefunction(function) else function()
            told = {"case": name, "ok": True, "shown": str(shown)[:120]}
        except BaseException as error:
            told = {"case": name, "ok": False, "shown": f"{type(error).__name__}: {error}"[:400]}
        print(json.dumps({**told, "seconds": round(time.monotonic() - began, 1)}), flush=True)
    os._exit(0)
