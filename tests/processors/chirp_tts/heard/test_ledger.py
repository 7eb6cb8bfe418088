"""The account of what was said: of a long talk the newest, for whoever listens all of it."""

from halfcascade.processors.chirp_tts.heard.ledger import NEWEST, HeardLedger, LedgerEntry


def test_a_long_talk_keeps_the_newest_and_tells_all():
    ledger, told = HeardLedger(), []
    ledger.listen(told.append)
    for number in range(NEWEST + 500):
        ledger.add(LedgerEntry(float(number), "heard", "speech", str(number)))
    assert len(told) == NEWEST + 500
    assert [entry.text for entry in ledger.entries] == [str(number) for number in range(500, NEWEST + 500)]
    assert ledger.texts("heard", "speech")[0] == "500" and ledger.texts("sent") == []
