import dataclasses

import pytest

from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.profiles import NetworkProfile, load_profile, parse_profile, profile_names


def test_reference_is_the_profile_of_the_goals():
    profile = load_profile("reference")
    assert profile.network == NetworkProfile(one_way=0.020)
    assert dataclasses.astuple(profile.listener) == (0.100, 0.250, 0.700, 0.150, 0.180)
    assert (profile.thinker.first_token, profile.thinker.chars_per_second) == (0.350, 120)
    assert (profile.speaker.first_audio, profile.speaker.speed) == (0.180, 4.0)


def test_instant_waits_for_nothing():
    profile = load_profile("instant")
    waits = (
        profile.network.one_way,
        profile.listener.interim_lag,
        profile.listener.final_latency,
        profile.listener.flush,
        profile.thinker.setup,
        profile.thinker.first_token,
        profile.thinker.chars_per_second,
        profile.speaker.first_audio,
        profile.speaker.speed,
    )
    assert not any(waits)


def test_every_named_profile_loads():
    assert {"reference", "instant"} <= set(profile_names())
    for name in profile_names():
        assert load_profile(name).name == name


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[speaker]\nspeed = 2\n")
    profile = load_profile(path)
    assert (profile.name, profile.speaker.speed, profile.speaker.chunk) == ("mine", 2.0, 0.24)


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ({"ears": {}}, r"unknown table \[ears\]"),
        ({"speaker": {"pace": 1}}, "no key 'pace'"),
        ({"speaker": {"speed": -1}}, "speed = -1 is not valid"),
        ({"speaker": {"chunk": 0}}, "chunk = 0 is not valid"),
        ({"speaker": {"speed": "fast"}}, "is not valid"),
        ({"thinker": {"playback_paced": 1}}, "is not valid"),
        ({"network": 3}, "must be a table"),
    ],
)
def test_mistakes_are_named(tables, told):
    with pytest.raises(EmulatorError, match=told):
        parse_profile("mine", tables)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(EmulatorError, match="instant or reference"):
        load_profile("nothing")
    path = tmp_path / "broken.toml"
    path.write_text("[speaker\n")
    with pytest.raises(EmulatorError, match="not valid TOML"):
        load_profile(path)
