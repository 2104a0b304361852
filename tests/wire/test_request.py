"""One call's life on both sides of the envelope: correlation, deadline, attempts, bad envelopes, error replies."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zbus.errors import ProtocolError
from zbus.wire.codec import Json, Msgpack, Raw
from zbus.wire.message import decode_headers
from zbus.wire.request import (
    CORRELATION_BYTES,
    KEY_BYTES,
    MAX_ERROR_TEXT,
    Arrival,
    Call,
    correlation,
    error_reply,
    read_correlation,
    read_reply,
)

moderate = settings(max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])

KEY = bytes(range(16))
FOREVER = 0x7FFF_FFFF
ID = b"\x00\x01\x02\x03\x04"


def call(timeout: float | None = 10.0, attempts: int = 1, now: float = 100.0) -> Call:
    return Call(KEY, now=now, timeout=timeout, attempts=attempts)


def tail(frame: bytes) -> int:
    return int.from_bytes(frame[KEY_BYTES:], "big")


# -- correlation -------------------------------------------------------------------------------------


@moderate
@given(st.binary(min_size=16, max_size=16), st.integers(0, FOREVER - 1), st.booleans())
def test_a_correlation_goes_there_and_back(key, milliseconds, repeatable):
    frame = key + (milliseconds | (repeatable << 31)).to_bytes(4, "big")
    assert read_correlation(frame) == (key, milliseconds / 1000, repeatable)
    assert correlation(key, (milliseconds + 0.5) / 1000, repeatable) == frame


def test_no_deadline_is_the_highest_number():
    frame = correlation(KEY, None, False)
    assert len(frame) == CORRELATION_BYTES
    assert tail(frame) == FOREVER
    assert read_correlation(frame) == (KEY, None, False)
    assert read_correlation(correlation(KEY, None, True)) == (KEY, None, True)


@pytest.mark.parametrize("seconds", [FOREVER / 1000, 1e9, 2.0**63, 1e300, math.inf])
def test_a_deadline_beyond_the_field_is_the_longest_that_fits(seconds):
    assert tail(correlation(KEY, seconds, False)) == FOREVER - 1


@pytest.mark.parametrize("seconds", [0, -0.0, -1, -1e300, -math.inf, 0.0004])
def test_time_that_is_over_is_no_time_left(seconds):
    assert tail(correlation(KEY, seconds, False)) == 0


def test_a_deadline_that_is_no_number_is_refused():
    with pytest.raises(ValueError):
        correlation(KEY, math.nan, False)


# -- a call that waits -------------------------------------------------------------------------------


def test_each_attempt_carries_the_same_key_and_the_time_that_is_left():
    one = call(timeout=10.0, attempts=3)
    frames = [one.correlation(100.0), one.correlation(104.0), one.correlation(111.0)]
    assert {frame[:KEY_BYTES] for frame in frames} == {KEY}
    assert [read_correlation(frame)[1:] for frame in frames] == [(10.0, True), (6.0, True), (0.0, True)]


def test_a_call_of_one_attempt_may_not_be_repeated():
    assert read_correlation(call(attempts=1).correlation(100.0))[2] is False


def test_one_attempt_waits_for_the_whole_deadline():
    one = call(timeout=10.0)
    assert one.patience(100.0) == 10.0
    one.take("server", 101.0)
    assert one.retry_at is None
    assert one.patience(103.0) == 7.0
    assert one.spent
    assert not one.expired(109.9)
    assert one.expired(110.0)
    assert one.patience(120.0) == 0.0


def test_attempts_share_the_deadline_and_the_last_has_what_is_left():
    one = call(timeout=9.0, attempts=3)
    one.take("a", 100.0)
    assert (one.patience(100.0), one.spent) == (3.0, False)
    one.take("b", 103.0)
    assert (one.patience(103.5), one.spent) == (2.5, False)
    one.take("c", 106.0)
    assert (one.patience(106.0), one.spent) == (3.0, True)
    assert one.server == "c"


def test_the_last_attempt_has_all_the_time_that_is_left_even_if_the_first_took_none():
    one = call(timeout=10.0, attempts=2)
    one.take("first", 100.0)
    one.take("second", 100.0)
    assert (one.patience(100.0), one.spent) == (10.0, True)


def test_a_call_without_deadline_is_patient_for_ever():
    for attempts in (1, 3):
        one = call(timeout=None, attempts=attempts)
        one.take("server", 100.0)
        assert one.patience(1e9) is None
        assert not one.expired(1e9)


@pytest.mark.parametrize("timeout", [0, -1])
def test_no_time_at_all_is_over_at_once(timeout):
    one = call(timeout=timeout)
    assert one.expired(100.0)
    assert one.patience(100.0) == 0.0


def test_a_refusal_is_no_attempt():
    one = call(attempts=2)
    for _ in range(5):
        one.take("server", 100.0)
        one.give_back()
    assert one.taken == 0
    one.take("server", 100.0)
    one.take("server", 100.0)
    assert one.spent


def test_an_attempt_made_late_has_no_more_than_what_is_left():
    one = call(timeout=9.0, attempts=3)
    one.take("a", 108.0)
    assert (one.patience(108.0), one.spent) == (1.0, False)
    one.take("b", 108.5)
    assert one.patience(108.5) == 0.5


# -- a request as a server gets it -------------------------------------------------------------------


def test_a_zbus_request_is_taken_apart():
    frame = correlation(KEY, 2.5, True)
    arrival = Arrival([ID, frame, b"", b"\x01", b"\x80"], now=50.0)
    assert arrival.envelope == [ID, frame, b""]
    assert (arrival.body, arrival.headers) == (b"\x01", b"\x80")
    assert (arrival.key, arrival.expires, arrival.repeatable) == (KEY, 52.5, True)


def test_a_plain_req_has_neither_key_nor_deadline():
    arrival = Arrival([ID, b"", b"\x01"], now=50.0)
    assert arrival.envelope == [ID, b""]
    assert (arrival.body, arrival.headers, arrival.key, arrival.expires) == (b"\x01", None, None, None)


def test_identities_that_devices_put_in_front_stay_in_the_envelope():
    frame = correlation(KEY, None, False)
    arrival = Arrival([ID, b"\x00dev2", frame, b"", b"\x01"], now=0.0)
    assert arrival.envelope == [ID, b"\x00dev2", frame, b""]
    assert (arrival.key, arrival.expires) == (KEY, None)


@pytest.mark.parametrize("size", [1, 4, 16, 19, 21, 255])
def test_a_correlation_of_another_length_is_somebody_elses(size):
    arrival = Arrival([ID, b"c" * size, b"", b"\x01"], now=0.0)
    assert arrival.envelope == [ID, b"c" * size, b""]
    assert (arrival.key, arrival.repeatable) == (None, False)


def test_an_identity_of_twenty_bytes_right_at_the_server_is_no_correlation():
    assert Arrival([b"i" * 20, b"", b"\x01"], now=0.0).key is None


def test_an_empty_frame_behind_the_delimiter_is_a_body():
    arrival = Arrival([ID, b"", b"", b""], now=0.0)
    assert (arrival.envelope, arrival.body, arrival.headers) == ([ID, b""], b"", b"")


BAD_REQUESTS = {
    "no frame": [],
    "an identity and nothing": [ID],
    "no delimiter": [ID, b"\x01"],
    "no delimiter, with headers": [ID, b"\x01", b"\x80"],
    "nothing behind the delimiter": [ID, b""],
    "nothing behind the delimiter of a correlation": [ID, b"c" * 20, b""],
    "the delimiter last": [ID, b"c" * 20, b"\x01", b""],
    "three frames behind the delimiter": [ID, b"", b"\x01", b"\x80", b"\x80"],
    "the delimiter doubled": [ID, b"c" * 20, b"", b"", b"\x01", b"\x80"],
    "100 empty frames": [ID] + [b""] * 100,
    "1,000 frames and no delimiter": [ID] + [b"x"] * 1000,
}


@pytest.mark.parametrize("frames", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_a_bad_envelope_is_a_protocol_error(frames):
    with pytest.raises(ProtocolError):
        Arrival(frames, now=0.0)


@moderate
@given(st.lists(st.binary(max_size=22), max_size=9))
def test_any_frames_are_a_request_or_a_protocol_error(frames):
    try:
        arrival = Arrival(frames, now=0.0)
    except ProtocolError:
        return
    rest = [arrival.body] if arrival.headers is None else [arrival.body, arrival.headers]
    assert arrival.envelope + rest == frames
    assert arrival.envelope[-1] == b""


# -- replies -----------------------------------------------------------------------------------------


def test_a_reply_is_told_by_its_key_whatever_time_it_was_sent_with():
    for seconds in (0, 5, None):
        frame = correlation(KEY, seconds, True)
        assert read_reply([frame, b"", b"\x01"]) == (KEY, b"\x01", None)
        assert read_reply([frame, b"", b"", b"\x80"]) == (KEY, b"", b"\x80")


BAD_REPLIES = {
    "no frame": [],
    "a body only": [b"\x01"],
    "no body": [b"c" * 20, b""],
    "no correlation": [b"", b"\x01"],
    "no delimiter": [b"c" * 20, b"\x01", b"\x80"],
    "an empty correlation": [b"", b"", b"\x01"],
    "a correlation of 19 bytes": [b"c" * 19, b"", b"\x01"],
    "a correlation of 255 bytes": [b"c" * 255, b"", b"\x01"],
    "a frame too many": [b"c" * 20, b"", b"\x01", b"\x80", b"\x80"],
    "all empty": [b""] * 4,
    "1,000 frames": [b"c" * 20, b""] + [b"x"] * 998,
}


@pytest.mark.parametrize("frames", BAD_REPLIES.values(), ids=BAD_REPLIES.keys())
def test_a_bad_reply_is_a_protocol_error(frames):
    with pytest.raises(ProtocolError):
        read_reply(frames)


def zbus_arrival() -> Arrival:
    return Arrival([ID, correlation(KEY, 1, False), b"", b"\x01"], now=0.0)


def plain_arrival() -> Arrival:
    return Arrival([ID, b"", b"\x01"], now=0.0)


@pytest.mark.parametrize("codec", [Msgpack(), Json(), Raw()], ids=lambda codec: type(codec).__name__)
def test_a_zbus_caller_gets_the_error_in_the_headers_whatever_the_codec(codec):
    body, headers = error_reply(zbus_arrival(), "ValueError", "no", codec)
    assert Msgpack().decode(body) is None
    assert decode_headers(headers) == {"error": {"type": "ValueError", "message": "no"}}


@pytest.mark.parametrize(
    ("codec", "reads"), [(Msgpack(), Msgpack()), (Json(), Json()), (Raw(), Msgpack())], ids=["msgpack", "json", "raw"]
)
def test_any_other_caller_gets_the_error_in_the_one_frame_that_he_reads(codec, reads):
    (body,) = error_reply(plain_arrival(), "ValueError", "no", codec)
    assert reads.decode(body) == {"error": {"type": "ValueError", "message": "no"}}


def test_only_a_refusal_tells_through_how_many_devices_the_call_came():
    arrival = Arrival([ID, b"client", correlation(KEY, 1, False), b"", b"\x01"], now=0.0)
    assert (zbus_arrival().hops, plain_arrival().hops, arrival.hops) == (0, 0, 1)
    for kind, told in (("Unavailable", 1), ("ValueError", None)):
        _, headers = error_reply(arrival, kind, "no", Msgpack())
        assert decode_headers(headers)["error"].get("hops") == told


def test_a_call_refused_behind_a_device_is_asked_again_at_once_then_ever_later_and_never_past_its_deadline():
    one = call(timeout=10.0)
    pauses = [one.refused_behind(100.0) for _ in range(8)]
    assert pauses == [0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.25, 0.25]
    assert one.refused_behind(109.9) == pytest.approx(0.1)
    assert one.refused_behind(111.0) == 0.0
    forever = call(timeout=None)
    assert max(forever.refused_behind(100.0) for _ in range(2000)) == 0.25


def test_an_errors_text_is_cut():
    _, headers = error_reply(zbus_arrival(), "ValueError", "é" * 10_000, Msgpack())
    assert decode_headers(headers)["error"]["message"] == "é" * MAX_ERROR_TEXT


@pytest.mark.parametrize("arrival", [zbus_arrival(), plain_arrival()], ids=["zbus", "plain"])
@pytest.mark.parametrize("codec", [Msgpack(), Json(), Raw()], ids=lambda codec: type(codec).__name__)
def test_an_errors_text_that_has_no_utf_8_is_sent_all_the_same(arrival, codec):
    frames = error_reply(arrival, "OSError", "no such file: a\udcff", codec)
    assert b"no such file: a?" in frames[-1]
