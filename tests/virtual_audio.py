"""A sound card that needs no hardware: a private PulseAudio server with a virtual microphone and loudspeaker.

The microphone is the "air" in front of it: a null sink into which a test speaks (`VirtualAudio.say`) and into which a
simulated room (`VirtualAudio.open_speaker`) lets the loudspeaker leak. The loudspeaker is a null sink whose monitor a
test records. Everything lives in one private directory (unix socket, no TCP, D-Bus, or files of the user's own
PulseAudio), and only processes started here are ended.

Needs the ``pulseaudio``, ``pulseaudio-utils`` and ``libasound2-plugins`` packages; `missing` says which is absent.
"""

import ctypes
import ctypes.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

RATE = 48_000
"""Rate of the virtual devices in Hz: what sound cards run at."""

_ROOM_RATE = 16_000
_BLOCK_SECS = 0.01
# The room may be kept from running for so long without its echo being late; that much is part of its delay.
_ROOM_SLACK_SECS = 0.1
# What the room's process says when it is ready, and each time that it was kept from running for longer than that.
_READY, _LAPSE = "ready\n", "late\n"
_PRIORITY = 5
_ASOUND_CONF = """\
</usr/share/alsa/alsa.conf>
pcm_type.pulse { lib "libasound_module_pcm_pulse.so" }
ctl_type.pulse { lib "libasound_module_ctl_pulse.so" }
pcm.pulse { type pulse }
ctl.pulse { type pulse }
pcm.!default { type pulse }
ctl.!default { type pulse }
"""


def missing() -> str | None:
    """Say what this machine lacks for a virtual sound card, or None if nothing."""
    if sys.platform != "linux":
        return "virtual audio needs Linux"
    absent = [tool for tool in ("pulseaudio", "pactl") if shutil.which(tool) is None]
    if absent:
        return f"virtual audio needs {', '.join(absent)} (apt packages pulseaudio, pulseaudio-utils)"
    if ctypes.util.find_library("pulse-simple") is None:
        return "virtual audio needs libpulse-simple (apt package libpulse0)"
    if not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        return "virtual audio needs ALSA's PulseAudio plugin (apt package libasound2-plugins)"
    return None


class _SampleSpec(ctypes.Structure):
    _fields_ = (("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8))


class _BufferAttr(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("maxlength", "tlength", "prebuf", "minreq", "fragsize"))


class PulseStream:
    """One mono 16-bit stream over libpulse's simple API: blocking, with the GIL released."""

    _PLAYBACK, _RECORD, _S16LE, _UNSET = 1, 2, 3, 0xFFFFFFFF

    def __init__(
        self,
        server: str,
        device: str,
        *,
        record: bool,
        rate: int,
        latency_secs: float = 0.01,
        ahead_secs: float | None = None,
    ):
        """Open it.

        Args:
            server: PulseAudio's address.
            device: Its name for the source or sink.
            record: Whether to record, or else play.
            rate: Samples per second.
            latency_secs: How much is recorded at a time, or kept ready to be played.
            ahead_secs: With how much of that playing begins; None for all of it. With 0.0 it begins at once, and goes
                on without what is missing: what is written too late is left out, so that the rest keeps its time.
        """
        self._library = ctypes.CDLL(ctypes.util.find_library("pulse-simple"))
        self._library.pa_simple_new.restype = ctypes.c_void_p
        size = int(rate * latency_secs) * 2
        ahead = self._UNSET if ahead_secs is None else int(rate * ahead_secs) * 2
        attributes = _BufferAttr(self._UNSET, size, ahead, self._UNSET, size)
        error = ctypes.c_int()
        handle = self._library.pa_simple_new(
            server.encode(),
            b"halfcascade-tests",
            self._RECORD if record else self._PLAYBACK,
            device.encode(),
            b"tests",
            ctypes.byref(_SampleSpec(self._S16LE, rate, 1)),
            None,
            ctypes.byref(attributes),
            ctypes.byref(error),
        )
        if not handle:
            raise OSError(error.value, f"PulseAudio stream on {device} failed")
        self._handle = ctypes.c_void_p(handle)

    def read(self, samples: int) -> np.ndarray:
        """Read that many samples; raises OSError when the device or the server is gone."""
        block = np.empty(samples, np.int16)
        error = ctypes.c_int()
        if self._library.pa_simple_read(
            self._handle, block.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(block.nbytes), ctypes.byref(error)
        ):
            raise OSError(error.value, "PulseAudio read failed")
        return block

    def write(self, block: np.ndarray) -> None:
        """Write int16 samples, as fast as the device takes them."""
        data, error = np.ascontiguousarray(block, np.int16), ctypes.c_int()
        if self._library.pa_simple_write(
            self._handle, data.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(data.nbytes), ctypes.byref(error)
        ):
            raise OSError(error.value, "PulseAudio write failed")

    def drain(self) -> None:
        """Wait until everything written was played."""
        self._library.pa_simple_drain(self._handle, None)

    def close(self) -> None:
        """Release the stream."""
        if self._handle:
            self._library.pa_simple_free(self._handle)
            self._handle = ctypes.c_void_p()


@dataclass
class Recording:
    """What the loudspeaker played.

    Parameters:
        rate: Samples per second.
        samples: int16 mono, complete when the recording has ended.
        started_at: ``time.monotonic()`` of the first sample.
    """

    rate: int
    samples: np.ndarray = field(default_factory=lambda: np.empty(0, np.int16))
    started_at: float = 0.0

    def span(self, start: float, stop: float) -> np.ndarray:
        """The samples between two ``time.monotonic()`` readings."""
        first, last = (max(0, round((at - self.started_at) * self.rate)) for at in (start, stop))
        return self.samples[first:last]

    def loud(self, threshold: int = 200) -> np.ndarray:
        """Times (``time.monotonic()``) of samples above the threshold."""
        return self.started_at + np.flatnonzero(np.abs(self.samples.astype(np.int32)) > threshold) / self.rate

    def gaps(self, threshold: int = 200, longer_than_secs: float = 0.004) -> list[float]:
        """Lengths in seconds of the silences between the first and the last loud sample."""
        steps = np.diff(self.loud(threshold))
        return [float(step) for step in steps if step > longer_than_secs]


@dataclass(frozen=True)
class Room:
    """An open-speaker echo path (facts/audio#echo).

    Parameters:
        delay_secs: Travel time, on top of what the virtual devices themselves add.
        gain_db: Loudness of the echo relative to what the speaker plays.
        reverb_secs: RT60 of the room's response; its length is 250 ms.
        noise_dbfs: Level of steady background noise in the microphone.
        seed: Chooses the room.
    """

    delay_secs: float = 0.03
    gain_db: float = -6.0
    reverb_secs: float = 0.25
    noise_dbfs: float = -62.0
    seed: int = 1

    def response(self, rate: int) -> np.ndarray:
        """Impulse response: direct sound after the delay, then a decaying random tail, unit energy times the gain."""
        rng = np.random.default_rng(self.seed)
        taps = int(0.25 * rate)
        decay = np.exp(-6.9 * np.arange(taps) / (self.reverb_secs * rate))
        tail = rng.standard_normal(taps) * decay * 0.1
        tail[0] = 1.0
        tail *= 10 ** (self.gain_db / 20) / np.sqrt(np.sum(tail**2))
        return np.concatenate([np.zeros(int(self.delay_secs * rate)), tail])


class EchoPath:
    """Applies a `Room` to played audio, block by block: speaker distortion, response, noise."""

    def __init__(self, room: Room, rate: int):
        self._response = room.response(rate)
        self._history = np.zeros(len(self._response) - 1)
        self._noise = 10 ** (room.noise_dbfs / 20)
        self._rng = np.random.default_rng(room.seed + 1)
        self._spectrum: dict[int, np.ndarray] = {}

    def process(self, played: np.ndarray) -> np.ndarray:
        """Give what arrives at the microphone while the int16 block is played."""
        sound = played.astype(np.float64) / 32768
        sound = np.tanh(1.2 * sound) / 1.2 + 0.02 * sound**2  # a small speaker overdriven
        joined = np.concatenate([self._history, sound])
        size = 1 << (len(joined) + len(self._response) - 1).bit_length()
        if size not in self._spectrum:
            self._spectrum = {size: np.fft.rfft(self._response, size)}
        echo = np.fft.irfft(np.fft.rfft(joined, size) * self._spectrum[size], size)
        echo = echo[len(self._history) : len(joined)]
        self._history = joined[len(joined) - len(self._history) :]
        echo += self._rng.standard_normal(len(echo)) * self._noise
        return np.clip(echo * 32768, -32768, 32767).astype(np.int16)


class VirtualAudio:
    """The sound server and what is plugged into it."""

    def __init__(self, directory: Path):
        """Prepare; nothing runs before `start`.

        Args:
            directory: A private directory of short path (a unix socket lives in it).
        """
        self.directory = directory
        self.server = f"unix:{directory}/native"
        self.environment = {
            "PULSE_SERVER": self.server,
            "PULSE_COOKIE": f"{directory}/cookie",
            "PULSE_RUNTIME_PATH": f"{directory}/pulse",
            "PULSE_STATE_PATH": f"{directory}/state",
            "ALSA_CONFIG_PATH": f"{directory}/asound.conf",
        }
        self._process: subprocess.Popen | None = None
        self._room: subprocess.Popen | None = None
        self.room_lapses = 0
        self._modules: dict[str, list[str]] = {}

    def start(self) -> None:
        """Start the server and plug both devices in; also after `kill`."""
        for part in ("home", "pulse", "state"):
            (self.directory / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.directory / "asound.conf").write_text(_ASOUND_CONF)
        (self.directory / "native").unlink(missing_ok=True)
        command = "pulseaudio -n --daemonize=no --use-pid-file=no --exit-idle-time=-1 --disallow-exit=no --realtime=no"
        # Realtime and high priority would need rtkit over D-Bus.
        command += " --high-priority=no --disable-shm=yes --resample-method=speex-float-1 --log-level=error"
        with (self.directory / "pulse.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *command.split(),
                    "-L",
                    f"module-native-protocol-unix socket={self.directory}/native auth-anonymous=1",
                ],
                env={**os.environ, **self.environment, "HOME": f"{self.directory}/home"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_prefer,
            )
        deadline = time.monotonic() + 20
        while not self._ready():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.stop()
                raise RuntimeError("PulseAudio did not start: " + (self.directory / "pulse.log").read_text()[-500:])
            time.sleep(0.02)
        self.plug("microphone")
        self.plug("speaker")

    def kill(self) -> None:
        """End the server without warning, as a crash would."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._modules.clear()

    def stop(self) -> None:
        """End everything started here."""
        self.close_room()
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._modules.clear()

    def restore(self) -> None:
        """Bring back whatever a test has killed or pulled out."""
        if not self._process:
            self.start()
        for device in ("microphone", "speaker"):
            if device not in self._modules:
                self.plug(device)

    def plug(self, device: str) -> None:
        """Plug the ``microphone`` or the ``speaker`` in and make it the default."""
        mono = "channels=1 channel_map=mono"
        if device == "microphone":
            self._modules[device] = [
                self.pactl(
                    "load-module", "module-null-sink", "sink_name=va_air", f"rate={RATE}", "norewinds=1", *mono.split(),
                    "sink_properties=device.description=VirtualAir",
                ),
                # A remapped source is a real source; a monitor would be left out of device lists.
                self.pactl(
                    "load-module", "module-remap-source", "source_name=va_mic", "master=va_air.monitor", *mono.split(),
                    "master_channel_map=mono", "remix=no", "source_properties=device.description=VirtualMicrophone",
                ),
            ]  # fmt: skip
            self.pactl("set-default-source", "va_mic")
        else:
            self._modules[device] = [self.add_sink("va_speaker", "VirtualSpeaker")]
            self.pactl("set-default-sink", "va_speaker")

    def add_sink(self, name: str, description: str) -> str:
        """Add another loudspeaker; returns the module to unload."""
        return self.pactl(
            "load-module", "module-null-sink", f"sink_name={name}", f"rate={RATE}", "norewinds=1", "channels=2",
            f"sink_properties=device.description={description}",
        )  # fmt: skip

    def unplug(self, device: str) -> None:
        """Pull the ``microphone`` or the ``speaker`` out."""
        for module in reversed(self._modules.pop(device)):
            self.pactl("unload-module", module)

    def pactl(self, *arguments: str) -> str:
        """Run ``pactl`` against this server."""
        done = subprocess.run(
            ["pactl", *arguments],
            env={**os.environ, **self.environment, "HOME": f"{self.directory}/home", "LC_ALL": "C"},
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def say(self, audio: np.ndarray, rate: int = _ROOM_RATE) -> threading.Thread:
        """Speak int16 samples into the microphone in real time, without waiting; join the thread to wait."""

        def speak() -> None:
            # All of it lies ready at the server: this process may be too busy to go on talking.
            secs = len(audio) / rate + 1.0
            stream = PulseStream(self.server, "va_air", record=False, rate=rate, latency_secs=secs, ahead_secs=0.02)
            try:
                stream.write(audio)
                stream.drain()
            except OSError:
                pass  # the microphone was unplugged, or the server killed: nobody hears the rest
            finally:
                stream.close()

        thread = threading.Thread(target=speak, name="virtual-user", daemon=True)
        thread.start()
        return thread

    @contextmanager
    def recording(self, device: str = "va_speaker.monitor", rate: int = RATE) -> Iterator[Recording]:
        """Record a source (the speaker's monitor) while the block runs; samples are complete afterwards."""
        recording = Recording(rate)
        blocks: list[np.ndarray] = []
        offsets: list[float] = []
        ready, over = threading.Event(), threading.Event()

        def record() -> None:
            samples, count = int(rate * 0.005), 0
            stream = PulseStream(self.server, device, record=True, rate=rate)
            try:
                while not over.is_set():
                    blocks.append(stream.read(samples))
                    count += samples
                    # The least delayed read tells best when the recording began.
                    offsets.append(time.monotonic() - count / rate)
                    ready.set()
            except OSError:
                ready.set()  # the device was unplugged, or the server killed: what was recorded so far counts
            finally:
                stream.close()

        thread = threading.Thread(target=record, name="virtual-recorder", daemon=True)
        thread.start()
        if not ready.wait(10):
            raise TimeoutError("the virtual loudspeaker gives no sound")
        try:
            yield recording
        finally:
            over.set()
            thread.join(10)
            recording.samples = np.concatenate(blocks) if blocks else recording.samples
            recording.started_at = min(offsets, default=0.0)

    def open_speaker(self, room: Room | None = None) -> None:
        """Let the loudspeaker leak into the microphone through a room, until `close_room`."""
        self.close_room()
        environment = {**os.environ, **self.environment, "PYTHONPATH": str(Path(__file__).parents[1])}
        self._room = subprocess.Popen(
            [sys.executable, "-m", "tests.virtual_audio", self.server, json.dumps(vars(room or Room()))],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=_prefer,
        )  # fmt: skip
        assert self._room.stdout
        if not self._room.stdout.readline():
            raise RuntimeError("the simulated room did not start")

    def close_room(self) -> None:
        """End the echo path; `room_lapses` then says how often it was too late to be an echo of what was played."""
        if self._room:
            self._room.kill()
            told, _ = self._room.communicate()
            self.room_lapses = told.count(_LAPSE.encode())
            self._room = None

    def _ready(self) -> bool:
        try:
            self.pactl("info")
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return False
        return True


def _prefer() -> None:
    """Run before all other programs, where that is allowed: what stands for hardware and air never waits."""
    with suppress(AttributeError, PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_PRIORITY))


def run_room(server: str, room: Room) -> None:
    """Carry the loudspeaker's sound to the microphone for ever; survives unplugging and server restarts."""
    path, samples = EchoPath(room, _ROOM_RATE), int(_ROOM_RATE * _BLOCK_SECS)
    announced = False

    def tell(line: str) -> None:
        sys.stdout.write(line)
        sys.stdout.flush()

    while True:
        streams: list[PulseStream] = []
        try:
            streams.append(PulseStream(server, "va_speaker.monitor", record=True, rate=_ROOM_RATE))
            # A room's delay never changes. With a stream that waits for late audio it grew by each (by 0.3 s in a
            # minute on a busy machine), and no canceller follows that.
            streams.append(
                PulseStream(
                    server, "va_air", record=False, rate=_ROOM_RATE, latency_secs=2 * _ROOM_SLACK_SECS, ahead_secs=0.0
                )
            )
            streams[1].write(np.zeros(int(_ROOM_RATE * _ROOM_SLACK_SECS), np.int16))
            written = time.monotonic()
            while True:
                streams[1].write(path.process(streams[0].read(samples)))
                before, written = written, time.monotonic()
                if not announced:
                    announced = True
                    tell(_READY)
                elif written - before > _ROOM_SLACK_SECS:
                    tell(_LAPSE)
        except OSError:
            time.sleep(0.1)
        finally:
            for stream in streams:
                stream.close()


def main(arguments: Sequence[str]) -> None:
    """Run the room: ``python -m tests.virtual_audio SERVER ROOM-AS-JSON``."""
    run_room(arguments[0], Room(**json.loads(arguments[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
