"""What a machine that watches the server can read: Prometheus metrics of all its talks."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from halfcascade.bot.session.events import Event
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.session.metrics import STAGES

_LATENCIES = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)


class Measures:
    """Metrics of one server, in a registry of its own.

    Args:
        most_talks: How many talks it may hold.
        late_secs: How late the process is.
    """

    def __init__(self, most_talks: int, late_secs: Callable[[], float] = float):
        self.registry = CollectorRegistry()
        late = Gauge("halfcascade_late_seconds", "How late what is due is usually done.", registry=self.registry)
        late.set_function(late_secs)
        self.talks = Gauge("halfcascade_talks", "Talks that are held.", ["door"], registry=self.registry)
        room = Gauge("halfcascade_talks_most", "Talks that may be held at once.", registry=self.registry)
        room.set(most_talks)
        self.ended = Counter("halfcascade_talks_ended", "Talks that ended.", ["door", "how"], registry=self.registry)
        self.refused = Counter("halfcascade_refused", "Callers that were not let in.", ["why"], registry=self.registry)
        self._stages = Histogram(
            "halfcascade_latency_seconds",
            "From the user's last sound until a stage of the answer was reached; `heard` is what a person waits.",
            ["stage"],
            buckets=_LATENCIES,
            registry=self.registry,
        )
        self._stops = Histogram(
            "halfcascade_barge_in_seconds",
            "From the beginning of speech over the bot until the bot was silent.",
            buckets=_LATENCIES,
            registry=self.registry,
        )
        self._errors = Counter("halfcascade_errors", "Errors within talks.", ["source"], registry=self.registry)
        self._used = Counter("halfcascade_used", "What was used of the services.", ["kind"], registry=self.registry)

    def follow(self, hub: EventHub) -> None:
        """Count what happens in a talk.

        Args:
            hub: Where all that happens in it comes together.
        """
        counted = {"turns": 0, "stops": 0}

        def on_event(event: Event) -> None:
            if event.type == "error":
                self._errors.labels(_kind(str(event.fields.get("source", "")))).inc()
            elif event.type == "usage":
                for name, value in event.fields.items():
                    if isinstance(value, int | float) and value > 0:
                        self._used.labels(f"{event.fields['kind']}_{name}").inc(value)
            elif event.type in ("speaking_stopped", "sound_ended"):
                self._count(hub, counted)

        hub.listen(on_event)

    def _count(self, hub: EventHub, counted: dict[str, int]) -> None:
        done = [turn for turn in hub.metrics.turns if turn.number > counted["turns"] and turn.latency_ms is not None]
        for turn in done:
            counted["turns"] = turn.number
            for stage, ms in turn.stages_ms().items():
                if stage in STAGES[1:]:
                    self._stages.labels(stage).observe(max(0, ms) / 1000)
        stops = hub.metrics.as_dict()["interruptions"][counted["stops"] :]
        for stop in stops:
            if stop["ms"] is None:
                break
            counted["stops"] += 1
            self._stops.observe(stop["ms"] / 1000)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self.registry)


def _kind(source: str) -> str:
    """The class of a processor without the number of its instance."""
    return source.partition("#")[0] or "bot"
