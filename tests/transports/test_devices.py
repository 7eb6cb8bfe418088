import os
import subprocess
import sys
import threading
from pathlib import Path

import pyaudio
import pytest

from halfcascade.processors.errors import ConfigurationError
from halfcascade.transports import library_noise
from halfcascade.transports.devices import (
    Device,
    Direction,
    PortAudio,
    choose,
    list_devices,
    open_failure,
    probe,
    quiet,
    routed,
)

ROOT = Path(__file__).parents[2]


def device(name, direction=Direction.INPUT, **kwargs):
    values = {"host_api": "Core Audio", "channels": 2, "sample_rate": 48_000, "default": False, "index": 3} | kwargs
    return Device(name=name, direction=direction, **values)


MICROPHONES = [
    device("MacBook Pro Microphone", default=True),
    device("Jabra Link 380"),
    device("Jabra Evolve 65"),
    device("MacBook Pro Speakers", Direction.OUTPUT),
]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, "MacBook Pro Microphone"),
        ("", "MacBook Pro Microphone"),
        ("evolve", "Jabra Evolve 65"),
        ("JABRA LINK 380", "Jabra Link 380"),
        ("link", "Jabra Link 380"),
    ],
)
def test_a_device_is_chosen_by_name_or_part_of_it(wanted, found):
    assert choose(MICROPHONES, Direction.INPUT, wanted).name == found


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("jabra", "fits several"),
        ("Jabbra", "did you mean “Jabra"),
        ("MacBok", "did you mean “MacBook Pro Microphone”"),
        ("xyzzy", "choose from “MacBook Pro Microphone”"),
        ("Speakers", "no microphone called"),
    ],
)
def test_a_wrong_name_is_told_in_one_line_with_a_way_out(wanted, said):
    with pytest.raises(ConfigurationError, match=said) as error:
        choose(MICROPHONES, Direction.INPUT, wanted)
    assert "\n" not in str(error.value)


def test_an_exact_name_beats_a_longer_one():
    both = [device("Headset"), device("Headset Pro")]
    assert choose(both, Direction.INPUT, "headset").name == "Headset"


def test_one_device_under_several_host_apis_is_one_device():
    both = [device("Headset", host_api="MME"), device("Headset", host_api="WASAPI", default=True)]
    assert choose(both, Direction.INPUT, "head").host_api == "WASAPI"


def test_no_device_at_all_names_the_ways_out():
    with pytest.raises(ConfigurationError, match=r"no microphone: .*--user-audio"):
        choose([], Direction.INPUT, None)
    with pytest.raises(ConfigurationError, match=r"no loudspeaker: .*plug one in"):
        choose(MICROPHONES[:1], Direction.OUTPUT, None)


def test_a_busy_device_and_a_forbidden_one_are_told_apart(monkeypatch):
    busy = open_failure(MICROPHONES[0], OSError("Device unavailable", pyaudio.paDeviceUnavailable))
    assert "busy" in str(busy)
    monkeypatch.setattr(sys, "platform", "darwin")
    forbidden = open_failure(MICROPHONES[0], OSError("Unanticipated host error", pyaudio.paUnanticipatedHostError))
    assert "Privacy & Security > Microphone" in str(forbidden)


def test_an_index_that_does_not_exist_is_an_error_and_no_crash(sound_card):
    portaudio = PortAudio()
    try:
        for index in (77, -1):
            with pytest.raises(ConfigurationError, match="is gone"):
                portaudio.format_for(device("Ghost", index=index), 16_000)
    finally:
        portaudio.close()


def test_the_sound_servers_devices_are_listed_by_name(sound_card):
    found = list_devices()
    microphones = [entry for entry in found if entry.direction is Direction.INPUT]
    assert [(entry.name, entry.default, entry.channels, entry.sample_rate) for entry in microphones] == [
        ("VirtualMicrophone", True, 1, 48_000)
    ], "monitors of loudspeakers are no microphones"
    assert next(entry for entry in found if entry.name == "VirtualSpeaker").default
    assert {entry.host_api for entry in found} == {"PulseAudio"}
    assert [entry.name for entry in probe(True)] == [entry.name for entry in found]


def test_a_named_loudspeaker_is_the_one_that_sounds(sound_card):
    module = sound_card.add_sink("va_headset", "VirtualHeadset")
    try:
        portaudio = PortAudio()
        headset = portaudio.choose(Direction.OUTPUT, "headset")
        with routed(headset):
            stream = portaudio.api.open(24_000, 1, pyaudio.paInt16, output=True, output_device_index=headset.index)
        try:
            sinks = sound_card.pactl("list", "short", "sinks")
            index = next(line.split()[0] for line in sinks.splitlines() if "va_headset" in line)
            playing = sound_card.pactl("list", "short", "sink-inputs")
            assert any(line.split()[1] == index for line in playing.splitlines()), playing
        finally:
            stream.close()
            portaudio.close()
        assert "PULSE_SINK" not in os.environ
    finally:
        sound_card.pactl("unload-module", module)


def test_a_device_plugged_in_later_is_seen_and_one_pulled_out_is_not(sound_card):
    before = next(entry for entry in probe(True) if entry.direction is Direction.INPUT)
    sound_card.unplug("microphone")
    assert not [entry for entry in list_devices() if entry.direction is Direction.INPUT]
    sound_card.plug("microphone")
    after = next(entry for entry in list_devices() if entry.direction is Direction.INPUT)
    assert after.name == before.name
    assert after.identity != before.identity, "so that the watchdog can tell"


def test_without_a_sound_server_listing_works_and_is_quiet():
    done = subprocess.run(
        [sys.executable, "-c", "from halfcascade.transports.devices import *; print(len(list_devices()))"],
        env={**os.environ, "PULSE_SERVER": "unix:/nowhere", "LOGURU_LEVEL": "WARNING"},
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.strip().isdecimal()
    assert done.stderr == ""


def test_listing_puts_nothing_on_the_terminal(sound_card, capfd):
    list_devices()
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_what_libraries_print_is_kept_off_the_terminal_by_overlapping_threads(capfd):
    inside, leave = threading.Event(), threading.Event()

    def overlap():
        with quiet():
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=overlap)
    with quiet():
        os.write(2, b"noise 1\n")
        thread.start()
        inside.wait(5)
    os.write(2, b"noise 2\n")
    leave.set()
    thread.join()
    os.write(2, b"a real error\n")
    assert capfd.readouterr().err == "a real error\n"
    assert library_noise._stderr._saved == -1
