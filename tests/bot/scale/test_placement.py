"""Which place takes a talk: whatever happens to the places, nobody is sent where there is no room."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from halfcascade.bot.scale.placement import SILENT_SECS, Placement, Report

NAMES = ("a", "b", "c")


def _report(taken: int = 0, most: int = 4, *, draining: bool = False) -> Report:
    return Report("http://10.0.0.1:1", "ws://10.0.0.1:1", taken, most, draining)


def test_talks_spread_by_room():
    placement = Placement()
    placement.seen("small", _report(most=2), 0.0)
    placement.seen("large", _report(most=8), 0.0)
    sent = []
    while name := placement.choose(1.0):
        placement.sent(name, f"ticket {len(sent)}", 1.0)
        sent.append(name)
    assert sent.count("small") == 2 and sent.count("large") == 8
    # Neither waits for the other to be full.
    assert "small" in sent[:6]


def test_a_ticket_counts_until_its_talk_is_counted_or_it_is_void():
    placement = Placement()
    placement.seen("a", _report(most=1), 0.0)
    placement.sent("a", "ticket", 0.0)
    assert placement.choose(1.0) is None
    placement.seen("a", _report(taken=1, most=1), 2.0)
    placement.seen("a", _report(taken=0, most=1), 3.0)
    assert placement.choose(3.0) == "a"
    placement.sent("a", "unused", 3.0)
    placement.seen("a", _report(most=1), 64.0)
    assert placement.choose(64.0) == "a" and placement.home("unused") is None


def test_who_says_nothing_gets_nobody_but_keeps_its_talks():
    placement = Placement()
    placement.seen("a", _report(taken=2), 0.0)
    placement.settle("a", "connection")
    assert placement.choose(SILENT_SECS) == "a"
    assert placement.choose(SILENT_SECS + 0.1) is None
    assert placement.home("connection") == "a"


def test_a_dead_place_takes_its_talks_along_and_no_others():
    placement = Placement()
    placement.seen("a", _report(taken=3), 0.0)
    placement.seen("b", _report(taken=1), 0.0)
    placement.settle("a", "lost")
    placement.settle("b", "kept")
    assert placement.gone("a") == 3
    assert placement.home("lost") is None and placement.home("kept") == "b"
    assert placement.choose(0.0) == "b" and placement.taken == 1 and placement.most == 4
    assert placement.gone("a") == 0


def test_numbers_of_connections_do_not_pile_up():
    placement = Placement()
    placement.seen("a", _report(), 0.0)
    for number in range(70_000):
        placement.settle("a", str(number))
    assert placement.home("0") is None and placement.home("69999") == "a"
    placement.forget("69999")
    placement.forget("never seen")
    assert placement.home("69999") is None and placement.home("69998") == "a"


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_all_rooms_are_filled_and_none_twice(sizes):
    placement = Placement()
    for index, most in enumerate(sizes):
        placement.seen(str(index), _report(most=most), 0.0)
    sent: list[str] = []
    while name := placement.choose(0.0):
        placement.sent(name, str(len(sent)), 0.0)
        sent.append(name)
    assert [sent.count(str(index)) for index in range(len(sizes))] == sizes


class Cluster(RuleBasedStateMachine):
    """Places that come, fill, drain, fall silent and die in any order."""

    def __init__(self):
        super().__init__()
        self.placement, self.now = Placement(), 0.0
        self.held: dict[str, int] = {}
        self.out: dict[str, list[str]] = {}
        self.draining: set[str] = set()
        self.told: dict[str, float] = {}
        self.count = 0

    @rule(name=st.sampled_from(NAMES), draining=st.booleans())
    def tells(self, name, draining):
        self.held.setdefault(name, 0)
        self.out.setdefault(name, [])
        (self.draining.add if draining else self.draining.discard)(name)
        self.placement.seen(name, _report(self.held[name], draining=draining), self.now)
        self.told[name] = self.now

    @rule(secs=st.floats(0.1, 3.0))
    def time_passes(self, secs):
        self.now += secs

    @rule()
    def somebody_comes(self):
        if name := self.placement.choose(self.now):
            assert name in self.held and name not in self.draining
            assert self.now - self.told[name] <= SILENT_SECS
            # Tickets are void after a minute, in this test's time too; until then there is a room for each.
            self.count += 1
            self.placement.sent(name, str(self.count), self.now)
            self.out[name].append(str(self.count))
            assert self.placement.home(str(self.count)) == name

    @precondition(lambda self: any(self.out.values()))
    @rule(data=st.data())
    def a_ticket_is_used(self, data):
        name = data.draw(st.sampled_from([name for name, tickets in self.out.items() if tickets]))
        if self.held[name] < 4:
            self.out[name].pop(0)
            self.held[name] += 1

    @precondition(lambda self: any(self.held.values()))
    @rule(data=st.data())
    def a_talk_ends(self, data):
        name = data.draw(st.sampled_from([name for name, talks in self.held.items() if talks]))
        self.held[name] -= 1

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def dies(self, data):
        name = data.draw(st.sampled_from(sorted(self.held)))
        self.placement.gone(name)
        for ticket in self.out[name]:
            assert self.placement.home(ticket) is None
        for known in (self.held, self.out, self.told):
            del known[name]
        self.draining.discard(name)

    @invariant()
    def only_places_that_live_are_known(self):
        assert set(self.placement.reports) == set(self.held)


TestCluster = Cluster.TestCase
TestCluster.settings = settings(max_examples=40, stateful_step_count=30)
