from halfcascade.emulator.limits import Quota, SpeechLimits, TtsLimits


def test_quota_counts_the_last_minute():
    quota = Quota(2)
    assert [quota.admit(now) for now in (0.0, 30.0, 59.0, 60.0, 61.0, 90.0)] == [True, True, False, True, False, True]
    assert all(Quota(None).admit(0.0) for _ in range(1_000))


def test_documented_defaults():
    assert (SpeechLimits().audio_bytes, SpeechLimits().max_duration) == (25_600, 300.0)
    assert (TtsLimits().text_bytes, TtsLimits().idle, TtsLimits().sessions) == (5_000, 5.0, 100)


def test_scaled_clocks_leave_sizes_alone():
    assert SpeechLimits().scaled(10) == SpeechLimits(max_duration=30.0, max_duration_v1=30.5, idle=1.0)
    assert TtsLimits().scaled(10) == TtsLimits(idle=0.5)
