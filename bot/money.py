"""What a talk costs: a dated table of list prices, and bills made with it. No I/O but reading the table."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from halfcascade.lines import tr
from halfcascade.processors.errors import ConfigurationError

PRICES_FILE = Path(__file__).parent / "assets" / "prices.toml"
METERS = ("stt_seconds", "tts_characters", "llm_text_in", "llm_audio_in", "llm_text_out", "llm_audio_out")
"""What is billed: seconds of speech listened to, characters spoken, and the model's tokens by direction and kind."""

DISCARDED = "llm_audio_out"
"""The model's own voice: generated, billed, thrown away."""

_NAMES = {
    "stt_seconds": "speech recognition",
    "tts_characters": "the voice",
    "llm_text_in": "text to the model",
    "llm_audio_in": "audio to the model",
    "llm_text_out": "the model's text",
    "llm_audio_out": "the model's audio, discarded",
}


@dataclass(frozen=True)
class Price:
    """One row of the table.

    Parameters:
        meter: One of ``METERS``.
        model: Pattern of model or voice names.
        usd: US dollars for ``per`` units.
        per: How many units.
    """

    meter: str
    model: str
    usd: float
    per: float = 1.0


@dataclass(frozen=True)
class Models:
    """Who does the work, as the table knows them.

    Parameters:
        stt: Speech-to-Text model.
        llm: Gemini Live model.
        voice: Full name of the voice.
    """

    stt: str = ""
    llm: str = ""
    voice: str = ""

    def of(self, meter: str) -> str:
        """The name that a meter's price depends on.

        Args:
            meter: One of ``METERS``.
        """
        return {"stt": self.stt, "tts": self.voice}.get(meter.partition("_")[0], self.llm)


@dataclass(frozen=True)
class Bill:
    """What some usage costs.

    Parameters:
        items: US dollars by meter; None where there is no price.
    """

    items: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def usd(self) -> float:
        """The sum of what has a price."""
        return sum(usd for usd in self.items.values() if usd is not None)

    @property
    def unknown(self) -> list[str]:
        """The meters that were used and have no price."""
        return [meter for meter, usd in self.items.items() if usd is None]

    @property
    def discarded_usd(self) -> float | None:
        """What the audio cost that the model generated and nobody hears; None without a price."""
        return self.items.get(DISCARDED, 0.0)

    def as_dict(self) -> dict[str, Any]:
        """The bill as JSON."""
        discarded = self.discarded_usd
        return {
            "usd": round(self.usd, 6),
            "discarded_audio_usd": None if discarded is None else round(discarded, 6),
            "items": {meter: None if usd is None else round(usd, 6) for meter, usd in self.items.items()},
            "unknown": self.unknown,
        }


@dataclass(frozen=True)
class Tariff:
    """The prices of one talk.

    Parameters:
        models: Who does the work.
        prices: The table; the first row that fits counts.
        as_of: The day on which the list prices were read.
    """

    models: Models = field(default_factory=Models)
    prices: tuple[Price, ...] = ()
    as_of: str = ""

    def price(self, meter: str) -> float | None:
        """Find the price of one unit.

        Args:
            meter: One of ``METERS``.

        Returns:
            US dollars, or None if the table does not know.
        """
        model = self.models.of(meter)
        fitting = (row for row in self.prices if row.meter == meter and fnmatchcase(model, row.model))
        row = next(fitting, None)
        return row.usd / row.per if row else None

    def bill(self, usage: Mapping[str, float]) -> Bill:
        """Price some usage.

        Args:
            usage: Counters as ``metrics.json`` has them.

        Returns:
            The bill; meters that were not used are left out.
        """
        used = {meter: amount for meter, amount in metered(usage).items() if amount}
        prices = {meter: self.price(meter) for meter in used}
        return Bill(
            {meter: None if (each := prices[meter]) is None else amount * each for meter, amount in used.items()}
        )

    @property
    def without_price(self) -> list[str]:
        """For people: what this talk may use and the table does not know."""
        return [_NAMES[meter] for meter in METERS if self.price(meter) is None]


def metered(usage: Mapping[str, float]) -> dict[str, float]:
    """Sort usage by what is billed alike.

    Args:
        usage: Counters as ``metrics.json`` has them.

    Returns:
        Units by meter. Cached tokens are counted as sent, thoughts as text.
    """
    audio_in, audio_out = usage.get("llm_input_audio_tokens", 0), usage.get("llm_output_audio_tokens", 0)
    return {
        "stt_seconds": usage.get("stt_audio_seconds", 0),
        "tts_characters": usage.get("tts_characters", 0),
        "llm_text_in": max(0, usage.get("llm_prompt_tokens", 0) - audio_in),
        "llm_audio_in": audio_in,
        "llm_text_out": max(0, usage.get("llm_completion_tokens", 0) - audio_out),
        "llm_audio_out": audio_out,
    }


def load_tariff(models: Models, own: Path | None = None) -> Tariff:
    """Read the table.

    Args:
        models: Who does the work.
        own: The user's own table, whose rows go first; or None.

    Returns:
        The prices.

    Raises:
        ConfigurationError: If the user's table cannot be read or makes no sense.
    """
    standard = _parse(PRICES_FILE)
    mine = _parse(own) if own else ((), "")
    return Tariff(models, (*mine[0], *standard[0]), mine[1] or standard[1])


def _parse(path: Path) -> tuple[tuple[Price, ...], str]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(
            f"The price file {path} cannot be read ({error.strerror}): name another one."
        ) from error
    except (ValueError, RecursionError) as error:
        why = " ".join(str(error).split())[:120]
        raise ConfigurationError(f"The price file {path} is not valid TOML ({why}): see {PRICES_FILE}.") from error
    if str(data.get("currency", "USD")) != "USD":
        raise ConfigurationError(f"The price file {path} is not in US dollars: give currency as USD, or leave it out.")
    rows = data.get("price", [])
    if not isinstance(rows, list):
        raise ConfigurationError(f"The price file {path} has no list of prices: begin each with [[price]].")
    return tuple(_row(row, path, number) for number, row in enumerate(rows, 1)), str(data.get("as_of", ""))


def _row(row: Any, path: Path, number: int) -> Price:
    where = f"Row {number} of the price file {path}"
    if not isinstance(row, dict) or row.get("meter") not in METERS:
        raise ConfigurationError(f"{where} has no known meter: use one of {', '.join(METERS)}.")
    usd: Any = row.get("usd")
    per: Any = row.get("per", 1)
    if not _is_amount(usd) or not _is_amount(per) or per == 0:
        raise ConfigurationError(f"{where} has no price: give usd and per as numbers that are not negative.")
    return Price(row["meter"], str(row.get("model", "*")), float(usd), float(per))


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def dollars(usd: float) -> str:
    """Write an amount for a person.

    Args:
        usd: US dollars.

    Returns:
        With as many digits as tell something: ``$0.0042``, ``$0.31``, ``$12.50``.
    """
    if usd and abs(usd) < 0.01:
        return f"${usd:.4f}"
    return f"${usd:.2f}" if abs(usd) >= 1 or not usd else f"${usd:.3f}"


def in_words(bill: Bill, tariff: Tariff, *, emulated: bool = False) -> str:
    """Tell a bill to a person.

    Args:
        bill: Of a whole talk.
        tariff: What it was made with.
        emulated: Whether nothing was billed, because the servers were not Google's.

    Returns:
        One line; empty if nothing was used.
    """
    if not bill.items:
        return ""
    told = (
        tr("This talk would have cost {cost} at Google's list prices of {day}")
        if emulated
        else tr("This talk cost about {cost} at Google's list prices of {day}")
    )
    line = told.format(cost=dollars(bill.usd), day=tariff.as_of)
    if bill.discarded_usd:
        thrown_away = tr("{cost} of it for audio that the model generated and nobody hears")
        line += f", {thrown_away.format(cost=dollars(bill.discarded_usd))}"
    if bill.unknown:
        meters = ", ".join(tr(_NAMES[meter]) for meter in bill.unknown)
        line += f"; {tr('not counted, because no price is known: {meters}').format(meters=meters)}"
    return f"{line}."
