import pytest

from halfcascade.emulator.faults import Fault, Faults


def test_faults_happen_so_often_and_after_so_many():
    faults = Faults([Fault("speech", "drop", times=2, skip=1)])
    assert [len(faults.take("speech")) for _ in range(5)] == [0, 1, 1, 0, 0]
    assert not faults.pending


def test_faults_of_other_apis_are_left_alone():
    faults = Faults([Fault("tts", "drop")])
    assert faults.take("speech") == []
    assert len(faults.take("tts")) == 1


def test_endless_faults_stay():
    faults = Faults([Fault("live", "close", times=-1)])
    assert [len(faults.take("live")) for _ in range(3)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("fault", "due", "not_yet"),
    [
        (Fault("speech", "drop", at=1.0), (1.0, 0, 0), (0.9, 999, 9)),
        (Fault("speech", "drop", after_bytes=100), (0.0, 100, 0), (9.0, 99, 9)),
        (Fault("tts", "drop", after_text=2), (0.0, 0, 2), (9.0, 999, 1)),
        (Fault("tts", "drop", at=1.0, after_text=2), (1.0, 0, 2), (0.9, 0, 2)),
    ],
)
def test_due(fault, due, not_yet):
    assert fault.due(*due)
    assert not fault.due(*not_yet)


def test_a_fault_without_conditions_is_due_at_once():
    assert Fault("tts", "error").due(0.0)
