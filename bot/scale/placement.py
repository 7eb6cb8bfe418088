"""Which place takes the next talk, and whose talks are lost when one dies. No I/O."""

from collections.abc import Container
from dataclasses import dataclass, field

# A place that says nothing for so long gets no more talks; it may only be busy, so its talks are not given up yet.
SILENT_SECS = 5.0
# A ticket that was not used for so long is void at the place, too.
_PROMISE_SECS = 60.0
# Nobody tells the front that a connection is over; the oldest number is the first that nobody asks for any more.
_MOST_KEYS = 65_536


@dataclass(frozen=True)
class Report:
    """What a place says of itself.

    Parameters:
        url: Where the front finds its server, such as ``http://10.0.0.7:41234``.
        stream_url: Where clients find its sockets, such as ``wss://node7.example.org``.
        taken: Talks that it holds.
        most: Talks that it may hold.
        draining: Whether it takes no more, because it is about to end.
    """

    url: str
    stream_url: str
    taken: int
    most: int
    draining: bool = False


@dataclass
class _Place:
    report: Report
    at: float
    # Tickets that were given since its last report, or before it and not used, and when.
    promised: dict[str, float] = field(default_factory=dict)


class Placement:
    """Keeps count of the places of a cluster and of who was sent where."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._homes: dict[str, str] = {}

    def seen(self, name: str, report: Report, now: float) -> None:
        """Take a place's report.

        Args:
            name: Of the place.
            report: What it says.
            now: Clock reading in seconds.
        """
        place = self._places.setdefault(name, _Place(report, now))
        # Whoever has come is counted by the place itself from now on.
        come = max(0, report.taken - place.report.taken)
        for ticket in [ticket for ticket, at in place.promised.items() if now - at >= _PROMISE_SECS]:
            del place.promised[ticket]
            self._homes.pop(ticket, None)
        place.promised = dict(list(place.promised.items())[come:])
        place.report, place.at = report, now

    def gone(self, name: str) -> int:
        """Forget a place that has died.

        Args:
            name: Of the place.

        Returns:
            How many talks it took along.
        """
        place = self._places.pop(name, None)
        self._homes = {key: home for key, home in self._homes.items() if home != name}
        return place.report.taken if place else 0

    def choose(self, now: float, but: Container[str] = ()) -> str | None:
        """Find the place with most room, in proportion to its size.

        Args:
            now: Clock reading in seconds.
            but: Names of places that have been asked in vain.

        Returns:
            Its name, or None if none has room.
        """
        free = {name: self._free(place, now) for name, place in self._places.items()}
        open_places = [name for name, room in free.items() if room > 0 and name not in but]
        return max(open_places, key=lambda name: free[name] / self._places[name].report.most, default=None)

    def sent(self, name: str, key: str, now: float) -> None:
        """Note that somebody was sent to a place.

        Args:
            name: Of the place.
            key: The ticket that they hold.
            now: Clock reading in seconds.
        """
        if place := self._places.get(name):
            place.promised[key] = now
            self._homes[key] = name

    def settle(self, name: str, key: str) -> None:
        """Note under which number a talk goes on at a place.

        Args:
            name: Of the place.
            key: The number of its connection.
        """
        if name in self._places:
            self._homes[key] = name
            while len(self._homes) > _MOST_KEYS:
                del self._homes[next(iter(self._homes))]

    def forget(self, key: str) -> None:
        """Drop a number that is of no use any more.

        Args:
            key: A ticket or the number of a connection.
        """
        self._homes.pop(key, None)

    def home(self, key: str) -> str | None:
        """Where a talk is.

        Args:
            key: A ticket or the number of a connection.

        Returns:
            The place's name, or None if there is no such talk, or its place has died.
        """
        return self._homes.get(key)

    @property
    def reports(self) -> dict[str, Report]:
        """The last report of each place."""
        return {name: place.report for name, place in self._places.items()}

    @property
    def taken(self) -> int:
        """Talks that are held, all places together."""
        return sum(place.report.taken for place in self._places.values())

    @property
    def most(self) -> int:
        """Talks that may be held, all places together."""
        return sum(place.report.most for place in self._places.values())

    @staticmethod
    def _free(place: _Place, now: float) -> int:
        report = place.report
        if report.draining or now - place.at > SILENT_SECS:
            return 0
        promised = sum(now - at < _PROMISE_SECS for at in place.promised.values())
        return report.most - report.taken - promised
