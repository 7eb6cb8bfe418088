"""Who may talk, and how much: decisions without I/O."""

import asyncio
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfcascade.bot.serve.access import TICKET_SECS, Gatekeeper, is_loopback
from halfcascade.bot.serve.doors import may_send
from halfcascade.bot.serve.limits import Absence, Allowance, Meter, Rooms, Strain
from halfcascade.bot.serve.settings import ServeSettings
from halfcascade.processors.errors import ConfigurationError

TOKEN = "correct horse battery staple"


def _basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"user:{password}".encode()).decode()


def test_the_token_is_taken_as_bearer_and_as_password():
    keeper = Gatekeeper(TOKEN)
    assert keeper.knows_token(f"Bearer {TOKEN}")
    assert keeper.knows_token(_basic(TOKEN))
    assert Gatekeeper().knows_token(None)


@given(st.one_of(st.none(), st.text(), st.text().map(lambda text: f"Bearer {text}"), st.text().map(_basic)))
def test_nothing_else_passes_for_the_token(header):
    assert not Gatekeeper(TOKEN).knows_token(header)


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, "localhost:7860", True),
        ("http://localhost:7860", "localhost:7860", True),
        ("https://good.example", "localhost:7860", True),
        ("https://GOOD.example", "localhost:7860", True),
        ("https://good.example.evil", "localhost:7860", False),
        ("https://evil.example", "localhost:7860", False),
        ("http://localhost:7861", "localhost:7860", False),
        ("null", "localhost:7860", False),
        ("", "localhost:7860", False),
        ("http://[", "localhost:7860", False),
    ],
)
def test_only_the_servers_own_page_and_named_ones_connect(origin, host, allowed):
    assert Gatekeeper(origins=["https://good.example/"]).allows_origin(origin, host) is allowed


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:7860", True),
        ("127.0.0.1", True),
        ("[::1]:7860", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
        (None, False),
        ("[", False),
    ],
)
def test_a_name_that_was_pointed_here_is_not_served(host, allowed):
    assert Gatekeeper().allows_host(host) is allowed


def test_a_ticket_is_good_once_and_for_a_minute():
    keeper = Gatekeeper()
    first, second = keeper.issue(0.0, {"voice": "Kore"}), keeper.issue(0.0)
    ticket = keeper.redeem(first, 1.0)
    assert ticket and ticket.wishes == {"voice": "Kore"}
    assert keeper.redeem(first, 1.0) is None
    assert keeper.redeem(second, TICKET_SECS) is None
    assert keeper.redeem("guessed", 0.0) is None


def test_tickets_nobody_uses_do_not_pile_up():
    keeper = Gatekeeper()
    numbers = [keeper.issue(0.0) for _ in range(5_000)]
    assert keeper.redeem(numbers[0], 1.0) is None
    assert keeper.redeem(numbers[-1], 1.0) is not None


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 70_000)), max_size=200))
def test_nobody_sends_more_than_is_allowed(messages):
    limits = Allowance()
    meter, now, taken, volume = Meter(limits, 0.0), 0.0, 0, 0
    for pause, size in messages:
        now += pause
        if meter.take(size, now):
            taken, volume = taken + 1, volume + size
            assert size <= limits.message_bytes
            assert taken <= limits.messages_per_sec * (now + limits.burst_secs)
            assert volume <= limits.bytes_per_sec * (now + limits.burst_secs)


def test_audio_in_real_time_is_never_too_much():
    meter = Meter(Allowance(), 0.0)
    # 48 kHz stereo every 20 ms for ten minutes, and eight seconds of it at once after a stall.
    assert all(meter.take(3_840 + 20, 0.02 * count) for count in range(30_000))
    assert all(meter.take(3_840 + 20, 608.0) for _ in range(400))


def test_a_client_has_been_away_since_it_was_first_missed():
    absence = Absence(most_secs=10.0)
    news = [
        absence.look(there=there, now=now) for now, there in ((0.0, True), (5.0, False), (9.0, False), (14.0, False))
    ]
    assert news == [False, True, False, False]
    assert not absence.too_long(14.9) and absence.too_long(15.0)
    absence.look(there=True, now=16.0)
    assert not absence.too_long(100.0)
    assert absence.look(there=False, now=17.0) and not absence.too_long(26.9)


def test_rooms_fill_and_drain():
    rooms = Rooms(2)
    assert rooms.enter() and rooms.enter() and not rooms.enter()
    rooms.leave()
    assert rooms.has_room
    rooms.draining = True
    assert not rooms.enter() and rooms.taken == 1


async def test_who_waits_for_rooms_to_be_empty_waits_for_the_last_to_leave():
    rooms = Rooms(2)
    await rooms.wait_until_empty()
    rooms.enter()
    rooms.enter()
    rooms.leave()
    waiting = asyncio.create_task(rooms.wait_until_empty())
    await asyncio.sleep(0)
    assert not waiting.done()
    rooms.leave()
    await waiting


@pytest.mark.parametrize(
    ("message", "allowed"),
    [
        ({"type": "client-ready"}, True),
        ({"type": "send-text", "data": {"content": "Hello."}}, True),
        ({"type": "send-text", "data": {"content": "x" * 3_000}}, False),
        ({"type": "send-file", "data": {}}, False),
        ({"type": "raw-audio", "data": {}}, False),
        ({"type": ["client-ready"]}, False),
        ({}, False),
        ("client-ready", False),
        (None, False),
    ],
)
def test_a_visitor_sends_text_and_small_messages_only(message, allowed):
    assert may_send(message) is allowed


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "example.org"])
def test_beyond_loopback_a_token_is_required(host, monkeypatch):
    assert not is_loopback(host)
    with pytest.raises(ConfigurationError, match="HALFCASCADE_SERVE_TOKEN"):
        ServeSettings(host=host).check()
    with pytest.raises(ConfigurationError, match="too short"):
        ServeSettings(host=host, token="short").check()
    monkeypatch.setenv("HALFCASCADE_SERVE_TOKEN", TOKEN)
    served = ServeSettings(host=host)
    served.check()
    assert TOKEN not in repr(served)


def test_https_needs_both_files(tmp_path):
    with pytest.raises(ConfigurationError, match="both"):
        ServeSettings(tls_certificate=tmp_path / "no.pem").check()
    with pytest.raises(ConfigurationError, match="no file"):
        ServeSettings(tls_certificate=tmp_path / "no.pem", tls_key=tmp_path / "no.key").check()


def test_a_process_that_does_not_keep_up_lets_nobody_else_in_until_it_does():
    rooms = Rooms(8)
    for look in range(20):
        rooms.strain.late(0.2, look * 0.25)
    # Somebody has to be let in, or nobody ever would be where the machine is slow for another reason.
    assert rooms.strain.overloaded and rooms.enter()
    assert not rooms.has_room and not rooms.enter()
    for look in range(20, 45):
        rooms.strain.late(0.001, look * 0.25)
    assert rooms.enter() and rooms.strain.late_secs == 0.001


def test_a_moment_of_being_late_is_no_overload():
    strain = Strain()
    for look in range(100):
        strain.late(0.5 if look % 3 == 0 else 0.005, look * 0.25)
        assert not strain.overloaded
