"""``python -m bench.clients.samples``: the tests of Google's own samples, unmodified, against the emulator.

They lie in a public repository (Apache-2.0) and are fetched at run, never kept here. Their recordings are recognized by
content: a scenario says which words the tests look for in them, and when. ``gs://`` objects are the same recordings in
the emulator's folder of buckets. What needs a Cloud Storage of its own is left out; every other failure is shown with
its reason.
"""

import argparse
import asyncio
import datetime
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as Xml
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from bench.clients.__main__ import CACHE, PAGE, REDIRECT
from halfcascade.emulator.server import GoogleEmulator

REPOSITORY = "https://github.com/GoogleCloudPlatform/python-docs-samples"
FOLDERS = ("speech/snippets", "speech/microphone", "texttospeech/snippets")
PACKAGES = (
    "pytest",
    "pytest-timeout",
    "flaky",
    "backoff",
    "six",
    "future",
    "google-cloud-speech",
    "google-cloud-texttospeech",
    "google-cloud-storage",
)
BEGIN, END = "<!-- samples: begin -->", "<!-- samples: end -->"
LEFT_OUT = "needs Cloud Storage"
_TEST_SECS, _FOLDER_SECS = 60, 420
_FETCH_SECS = 120
_RAW_RATE = 16_000
# Stretches of sound with the words in them that some test looks for: seconds from, to. None = the whole sound.
Stretch = tuple[float | None, float | None, str]
BRIDGE: list[Stretch] = [(None, None, "how old is the Brooklyn Bridge")]
SAID: dict[str, list[list[Stretch]]] = {
    "audio.wav": [BRIDGE],
    "audio_silence_padding.wav": [[(1.9, 3.7, BRIDGE[0][2])]],
    "fair.wav": [[(None, None, "the word is fair")]],
    "commercial_mono.wav": [
        [
            (2.2, 2.9, "Okay, I'm here."),
            (4.5, 8.7, "I'd like to buy a Chromecast."),
            (10.3, 13.8, "Which color would you like?"),
            (15.3, 16.6, "The black one."),
            (18.2, 23.1, "Would you like the regular Chromecast?"),
            (24.6, 27.0, "Regular is fine."),
            (28.7, 32.3, "Would you like express?"),
            (33.7, 34.7, "Express, please."),
            (36.4, 41.1, "It's on the way."),
            (42.2, 42.7, "Bye."),
        ]
    ],
    "Google_Gnome.wav": [
        [
            (0.5, 5.0, "Okay Google stream stranger things from Netflix to my TV"),
            (21.0, 24.0, "the weather outside is sunny"),
        ]
    ],
    "multi.wav": [[(0.1, 1.6, "how are you doing")]] * 2,
    "two_channel_16k.wav": [
        [(0.1, 3.8, "is it a checking account or a saving account")],
        [(0.1, 5.5, "what is your debit card number")],
    ],
    "quit.raw": [[(0.5, 1.5, "quit")]],
}
# What no emulator of a recognizer that knows its recordings can do, in plain words.
REASONS = {
    "test_model_adaptation_beta": "The sample gives 24 kHz for a recording of 16 kHz; it is known by its content.",
    "test_transcribe_file_with_multilanguage_gcs": "Its recording (multi_es.flac) is not in the repository.",
}
# What adaptation may prefer.
SOUNDS_LIKE = {"fair": ["fare"]}
# What the tests' gs:// names hold.
OBJECTS = {
    "cloud-samples-data/speech/brooklyn_bridge.raw": "audio.raw",
    "cloud-samples-data/speech/brooklyn_bridge.flac": "audio.wav",
    "cloud-samples-data/speech/brooklyn_bridge.mp3": "audio.wav",
    "cloud-samples-data/speech/audio.flac": "audio.wav",
    "cloud-samples-data/speech/commercial_mono.wav": "commercial_mono.wav",
    "cloud-samples-data/speech/multi.wav": "multi.wav",
    "cloud-samples-tests/speech/Google_Gnome.wav": "Google_Gnome.wav",
    "cloud-samples-tests/speech/brooklyn.flac": "audio.wav",
    "python-docs-samples-tests/speech/audio.flac": "audio.wav",
}


@dataclass(frozen=True)
class Outcome:
    """What became of one test.

    Parameters:
        name: File and function.
        reason: Why it did not pass; "" = it did.
    """

    name: str
    reason: str = ""


def fetch() -> Path:
    """Get the samples, or those of an earlier run.

    Raises:
        OSError: If they cannot be had; one line.
    """
    folder = CACHE / "python-docs-samples"
    if (folder / "speech").is_dir():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    clone = ["git", "clone", "--quiet", "--depth=1", "--filter=blob:none", "--sparse", REPOSITORY, str(folder)]
    select = ["git", "-C", str(folder), "sparse-checkout", "set", "speech", "texttospeech"]
    try:
        for command in (clone, select):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_FETCH_SECS)
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        told = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise OSError(f"Google's samples cannot be fetched ({told[-1] if told else error}).") from error
    return folder


def environment_for_samples(*, update: bool) -> tuple[Path, str]:
    """Make the environment that the samples run in.

    Returns:
        Its Python, and the clients' versions.
    """
    folder = CACHE / "samples"
    python = folder / "bin" / "python"
    uv = [sys.executable, "-m", "uv"] if shutil.which("uv") is None else ["uv"]
    if not python.exists():
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        update = True
    if update:
        subprocess.run([*uv, "pip", "install", "-q", "-U", "--python", python, *PACKAGES], check=True)
    names = "'google-cloud-speech', 'google-cloud-texttospeech'"
    code = f"import importlib.metadata as m; print(*map(m.version, ({names})))"
    return python, subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def read(path: Path) -> tuple[np.ndarray, int]:
    """Read a recording: samples by channel, and its rate."""
    if path.suffix == ".raw":
        return np.fromfile(path, "<i2").astype(np.float32)[:, None] / 32768, _RAW_RATE
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return samples, rate


def scenario(samples: Path, folder: Path) -> dict[str, Any]:
    """Say what is in the recordings.

    Args:
        samples: The samples.
        folder: Where each channel is written on its own.
    """
    recordings = []
    for name, channels in SAID.items():
        (path,) = (path for where in FOLDERS[:2] for path in [samples / where / "resources" / name] if path.exists())
        audio, rate = read(path)
        for number, stretches in enumerate(channels):
            file = folder / f"{path.stem}-{number}.wav"
            soundfile.write(file, audio[:, number], rate)
            words = [word for stretch in stretches for word in _words(audio[:, number], rate, *stretch)]
            recordings.append({"audio": str(file), "words": words, "language": "en-US"})
    return {"recordings": recordings, "language": "en-US"}


def _words(audio: np.ndarray, rate: int, start: float | None, end: float | None, text: str) -> list[dict[str, Any]]:
    words = text.split()
    first = 0.0 if start is None else start
    last = len(audio) / rate if end is None else end
    step = (last - first) / len(words)
    return [
        {
            "word": word,
            "start": first + number * step,
            "end": first + (number + 1) * step,
            "sounds_like": SOUNDS_LIKE.get(word, []),
        }
        for number, word in enumerate(words)
    ]


def fill_buckets(samples: Path, folder: Path) -> None:
    """Write the objects that the tests name."""
    for name, source in OBJECTS.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        path = samples / FOLDERS[0] / "resources" / source
        if target.suffix == path.suffix:
            shutil.copyfile(path, target)
        else:
            soundfile.write(target, *read(path))


def run(python: Path, folder: Path, environment: dict[str, str]) -> list[Outcome]:
    """Run the tests of a folder."""
    files = sorted(folder.glob("*_test.py"))
    # The emulator has no Cloud Storage API: nobody's bucket can be made in it.
    stored = [file for file in files if "storage.Client(" in file.read_text(encoding="utf-8")]
    outcomes = [Outcome(file.stem, LEFT_OUT) for file in stored]
    report = folder / "report.xml"
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--timeout={_TEST_SECS}"]
    command += [f"--junitxml={report}", *(file.name for file in files if file not in stored)]
    try:
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=_FOLDER_SECS, check=False)
    except subprocess.TimeoutExpired:
        return [*outcomes, Outcome(folder.name, f"took more than {_FOLDER_SECS} s")]
    # What breaks in its teardown, too, is reported twice.
    found: dict[str, str] = {}
    for case in Xml.parse(report).iter("testcase"):
        broken = [child for child in case if child.tag in ("failure", "error", "skipped")]
        told = next((line for child in broken for line in (child.get("message") or "").splitlines()), "")
        name = f"{(case.get('classname') or '').rpartition('.')[2]}::{case.get('name')}"
        why = REASONS.get(case.get("name") or "", told[:200])
        found[name] = found.get(name) or (why if broken else "")
    return [*outcomes, *(Outcome(name, reason) for name, reason in found.items())]


async def measure(samples: Path, work: Path, python: Path) -> list[Outcome]:
    """Run everything against an emulator of its own.

    Args:
        samples: Their checkout.
        work: Scratch folder.
        python: Of their environment.
    """
    for name in FOLDERS:
        shutil.copytree(samples / name, work / name)
    buckets, channels = work / "buckets", work / "channels"
    channels.mkdir()
    fill_buckets(samples, buckets)
    outcomes = []
    async with GoogleEmulator(scenario=scenario(samples, channels), buckets=buckets) as google:
        environment = {**os.environ, **google.extra_env, **google.env, "PYTHONPATH": str(REDIRECT)}
        for name in FOLDERS:
            outcomes += await asyncio.to_thread(run, python, work / name, environment)
    return outcomes


def page(outcomes: list[Outcome], versions: str) -> str:
    """Write the result as Markdown."""
    counted = [outcome for outcome in outcomes if outcome.reason != LEFT_OUT]
    failed = [outcome for outcome in counted if outcome.reason]
    passed = len(counted) - len(failed)
    today = datetime.datetime.now(datetime.UTC).date()
    speech, tts = versions.split()
    lines = [
        f"{passed} of {len(counted)} that make no bucket of their own pass (`make samples`, {today}, "
        f"with google-cloud-speech {speech} and -texttospeech {tts})."
    ]
    if failed:
        lines += ["", "| not | why |", "|---|---|"]
        lines += [f"| `{outcome.name}` | {outcome.reason.replace('|', '/')} |" for outcome in failed]
    return "\n".join(lines)


def main() -> int:
    """Run them, print each, and write the page with ``--write``.

    Returns:
        0; 1 where the samples cannot be had.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.clients.samples", description=__doc__)
    parser.add_argument(
        "--from", dest="checkout", type=Path, help="a checkout of the samples, instead of fetching them"
    )
    parser.add_argument("--update", action="store_true", help="install the newest releases again")
    parser.add_argument("--write", action="store_true", help="write the result into docs/emulator.md")
    parser.add_argument("--json", type=Path, help="write every outcome here, too")
    options = parser.parse_args()
    try:
        samples = options.checkout or fetch()
    except OSError as error:
        print(f"{error} Give a checkout with --from.")
        return 1
    python, versions = environment_for_samples(update=options.update)
    work = CACHE / "samples-work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    outcomes = asyncio.run(measure(samples.resolve(), work, python))
    for outcome in outcomes:
        left_out = outcome.reason == LEFT_OUT
        print(f"{'out ' if left_out else 'FAIL' if outcome.reason else 'ok  '} {outcome.name} {outcome.reason}")
    told = page(outcomes, versions)
    print(told.splitlines()[0])
    if options.json:
        options.json.write_text(json.dumps([vars(outcome) for outcome in outcomes]))
    if options.write:
        text = PAGE.read_text(encoding="utf-8")
        head, _, rest = text.partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{told}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
