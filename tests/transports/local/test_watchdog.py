from halfcascade.transports.devices import Device, Direction
from halfcascade.transports.local.device import DeviceHealth
from halfcascade.transports.local.watchdog import Opened, Watchdog

MICROPHONE = Device("Headset", "PulseAudio", Direction.INPUT, 1, 48_000, True, 0, "hs", "3")
SPEAKER = Device("Speakers", "PulseAudio", Direction.OUTPUT, 2, 48_000, True, 0, "sp", "4")
BOTH = {Direction.INPUT: None, Direction.OUTPUT: None}
OPEN = Opened(BOTH, {Direction.INPUT: MICROPHONE, Direction.OUTPUT: SPEAKER})


def health(**kwargs):
    return DeviceHealth(
        **({"input_open": True, "output_open": True, "captured_at": 10.0, "rendered_at": 10.0} | kwargs)
    )


def another(device, **kwargs):
    return Device(**{**vars(device), **kwargs})


def test_running_devices_are_left_alone():
    watchdog = Watchdog()
    assert all(watchdog.problem(10.0 + i / 10, health(captured_at=10.0 + i / 10)) is None for i in range(5))


def test_a_microphone_that_falls_silent_is_noticed_after_half_a_second():
    watchdog = Watchdog()
    assert watchdog.problem(10.4, health(rendered_at=10.4)) is None
    assert watchdog.problem(10.6, health(rendered_at=10.6)) is None, "once may be a stalled process"
    assert "microphone" in watchdog.problem(10.7, health(rendered_at=10.7))


def test_one_late_look_is_forgiven_when_the_device_runs_on():
    watchdog = Watchdog()
    assert watchdog.problem(13.0, health()) is None
    assert watchdog.problem(13.1, health(captured_at=13.1, rendered_at=13.1)) is None
    assert watchdog.problem(16.0, health(captured_at=13.1, rendered_at=13.1)) is None


def test_a_failed_loudspeaker_is_noticed_at_once():
    assert "loudspeaker failed (gone)" in Watchdog().problem(10.0, health(error="gone"))


def test_a_closed_direction_is_not_missed():
    watchdog = Watchdog()
    quiet = health(input_open=False, captured_at=0.0, rendered_at=99.0)
    assert watchdog.problem(99.1, quiet) is None
    assert watchdog.problem(99.2, quiet) is None


def test_nothing_changed():
    assert Watchdog().changed(OPEN, [MICROPHONE, SPEAKER]) is None


def test_a_device_that_went_away_is_told_by_name():
    assert "“Headset” is gone" in Watchdog().changed(OPEN, [SPEAKER])


def test_a_device_that_was_replugged_is_another_one():
    assert Watchdog().changed(OPEN, [another(MICROPHONE, identity="9"), SPEAKER])


def test_a_new_default_is_followed_only_by_those_who_wanted_the_default():
    beamer = another(SPEAKER, name="Beamer", server_name="bm", identity="7")
    after = [MICROPHONE, another(SPEAKER, default=False), beamer]
    assert "is “Beamer” now" in Watchdog().changed(OPEN, after)
    named = Opened({**BOTH, Direction.OUTPUT: "speak"}, OPEN.devices)
    assert Watchdog().changed(named, after) is None


def test_a_missing_device_that_came_back_is_noticed():
    without = Opened(BOTH, {Direction.INPUT: None, Direction.OUTPUT: SPEAKER})
    assert Watchdog().changed(without, [SPEAKER]) is None
    assert "“Headset” is there" in Watchdog().changed(without, [MICROPHONE, SPEAKER])


def test_attempts_come_ever_more_rarely_until_one_succeeds():
    watchdog = Watchdog()
    waits = [watchdog.failed() for _ in range(8)]
    assert waits == sorted(waits)
    assert waits[0] <= 0.1
    assert waits[-1] <= 2.0
    watchdog.succeeded()
    assert watchdog.failed() == waits[0]
