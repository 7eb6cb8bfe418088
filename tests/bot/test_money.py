import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfcascade.bot.budget import BudgetGuard
from halfcascade.bot.money import METERS, Models, dollars, in_words, load_tariff, metered
from halfcascade.bot.session.events import EventType
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.session.redaction import Redactor
from halfcascade.processors.errors import ConfigurationError

MODELS = Models("chirp_3", "gemini-3.8-live", "ko-KR-Chirp3-HD-Kore")
USAGE = {
    "stt_audio_seconds": 30.0,
    "tts_characters": 1_000,
    "llm_prompt_tokens": 1_500,
    "llm_input_audio_tokens": 500,
    "llm_completion_tokens": 2_200,
    "llm_output_audio_tokens": 2_000,
    "llm_total_tokens": 3_700,
}


def test_a_bill_by_hand():
    bill = load_tariff(MODELS).bill(USAGE)
    expected = {
        "stt_seconds": 0.008,
        "tts_characters": 0.03,
        "llm_text_in": 0.00075,
        "llm_audio_in": 0.0015,
        "llm_text_out": 0.0009,
        "llm_audio_out": 0.024,
    }
    assert bill.items == pytest.approx(expected)
    assert bill.usd == pytest.approx(sum(expected.values()))
    assert bill.discarded_usd == pytest.approx(0.024)
    assert bill.unknown == []


def test_what_has_no_price_says_so_and_is_not_guessed():
    tariff = load_tariff(Models("long", "gemini-9-live", "ko-KR-Chirp3-HD-Kore"))
    bill = tariff.bill(USAGE)
    assert bill.usd == pytest.approx(0.03)
    assert set(bill.unknown) == set(METERS) - {"tts_characters"}
    assert bill.discarded_usd is None
    assert "speech recognition" in in_words(bill, tariff)
    assert "audio, discarded" in in_words(bill, tariff)
    assert bill.as_dict()["items"]["stt_seconds"] is None


def test_the_users_own_table_goes_first(tmp_path):
    own = tmp_path / "prices.toml"
    own.write_text('as_of = "2027-01-01"\n[[price]]\nmeter = "stt_seconds"\nmodel = "*"\nusd = 1\nper = 2\n')
    tariff = load_tariff(MODELS, own)
    assert tariff.bill({"stt_audio_seconds": 4}).usd == 2.0
    assert tariff.bill({"tts_characters": 1_000}).usd == pytest.approx(0.03)
    assert tariff.as_of == "2027-01-01"


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "price = 3",
        "[[price]]\n",
        '[[price]]\nmeter = "coffee"\nusd = 1\n',
        '[[price]]\nmeter = "stt_seconds"\n',
        '[[price]]\nmeter = "stt_seconds"\nusd = "cheap"\n',
        '[[price]]\nmeter = "stt_seconds"\nusd = nan\n',
        '[[price]]\nmeter = "stt_seconds"\nusd = -1\n',
        '[[price]]\nmeter = "stt_seconds"\nusd = true\n',
        '[[price]]\nmeter = "stt_seconds"\nusd = 1\nper = 0\n',
        'currency = "KRW"\n',
        None,
    ],
)
def test_a_price_file_with_nonsense_is_one_line(tmp_path, text):
    own = tmp_path / "prices.toml"
    if text is not None:
        own.write_text(text)
    with pytest.raises(ConfigurationError, match=r"prices\.toml") as raised:
        load_tariff(MODELS, own)
    assert "\n" not in str(raised.value)


def test_bytes_that_are_no_text_are_one_line(tmp_path):
    own = tmp_path / "prices.toml"
    own.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        load_tariff(MODELS, own)


@given(st.dictionaries(st.sampled_from(sorted(USAGE)), st.floats(0, 1e9)))
def test_every_token_is_billed_once(usage):
    units = metered(usage)
    assert set(units) == set(METERS)
    assert all(amount >= 0 for amount in units.values())
    sent = max(usage.get("llm_prompt_tokens", 0), usage.get("llm_input_audio_tokens", 0))
    assert units["llm_text_in"] + units["llm_audio_in"] == pytest.approx(sent)


@pytest.mark.parametrize(
    ("usd", "text"), [(0, "$0.00"), (0.00123, "$0.0012"), (0.0312, "$0.031"), (1.5, "$1.50"), (12, "$12.00")]
)
def test_amounts_for_people(usd, text):
    assert dollars(usd) == text


async def test_a_budget_warns_once_and_ends_once():
    hub, ended, told = EventHub(Redactor()), [], []
    hub.metrics.tariff = load_tariff(MODELS)
    hub.listen(lambda event: told.append(event.fields["state"]) if event.type is EventType.BUDGET else None)
    guard = BudgetGuard(0.10, hub, lambda: ended.append(len(told)))
    hub.listen(guard.on_event)
    hub.emit(EventType.TURN_SENT, text="hello", turn=1, attempt=1)
    assert not guard.quiet.is_set()
    for _ in range(5):
        hub.emit(EventType.USAGE, kind="tts", characters=1_000)
    assert told == ["warning", "spent"]
    assert len(ended) == 1
    hub.emit(EventType.SPEAKING_STOPPED)
    assert guard.quiet.is_set()


async def test_a_jump_over_the_budget_skips_the_warning():
    hub, told = EventHub(Redactor()), []
    hub.metrics.tariff = load_tariff(MODELS)
    hub.listen(lambda event: told.append(event.fields["state"]) if event.type is EventType.BUDGET else None)
    hub.listen(BudgetGuard(0.01, hub, lambda: None).on_event)
    hub.emit(EventType.USAGE, kind="tts", characters=1_000)
    assert told == ["spent"]
