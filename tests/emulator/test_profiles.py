import dataclasses
import statistics

import pytest

from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.profiles import NetworkProfile, drawn, load_profile, parse_profile, profile_names


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
    assert {"reference", "instant", "observed", "far", "bad"} <= set(profile_names())
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
        ({"thinker": {"first_token": {"mean": 1}}}, "first_token = .* is not valid"),
        ({"thinker": {"first_token": {"median": 2, "p95": 1}}}, "median <= p95"),
        ({"thinker": {"first_token": {"median": "slow"}}}, "is not valid"),
        ({"thinker": {"piece_chars": {"median": 3}}}, "is not valid"),
    ],
)
def test_mistakes_are_named(tables, told):
    with pytest.raises(EmulatorError, match=told):
        parse_profile("mine", tables)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(EmulatorError, match="instant, observed, reference"):
        load_profile("nothing")
    path = tmp_path / "broken.toml"
    path.write_text("[speaker\n")
    with pytest.raises(EmulatorError, match="not valid TOML"):
        load_profile(path)


def draws(name: str, seed: int, count: int) -> list[float]:
    tables = {"seed": seed, "thinker": {"first_token": {"median": 1.1, "p95": 2.6, "most": 5.1}}}
    spread = parse_profile(name, tables).thinker.first_token
    return [drawn(spread) for _ in range(count)]


def test_a_time_that_varies_has_its_median_and_its_tail():
    times = draws("mine", 1, 4000)
    assert statistics.median(times) == pytest.approx(1.1, rel=0.05)
    assert sorted(times)[int(0.95 * len(times))] == pytest.approx(2.6, rel=0.1)
    assert max(times) <= 5.1 and min(times) > 0


def test_the_same_seed_gives_the_same_times():
    assert draws("mine", 1, 50) == draws("yours", 1, 50) != draws("mine", 2, 50)


def test_some_times_stall():
    spread = parse_profile("m", {"speaker": {"first_audio": {"median": 0.2, "stall_share": 0.02, "stall_secs": 2}}})
    times = [drawn(spread.speaker.first_audio) for _ in range(5000)]
    assert set(times) == {0.2, 2.2}
    assert 60 <= times.count(2.2) <= 140


def test_a_time_that_does_not_vary_is_itself():
    assert drawn(0.35) == 0.35
    assert float(parse_profile("m", {"network": {"one_way": {"median": 0.1}}}).network.one_way) == 0.1
