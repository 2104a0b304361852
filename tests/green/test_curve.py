"""CURVE's keys: what can be one, and that no error tells any of what cannot."""

from __future__ import annotations

import pytest
import zmq

from zbus.errors import Unsupported
from zbus.green import curve
from zbus.green.curve import fingerprint, keypair, public_of, raw, z85

#: The test vector of RFC 32, four times, and its 32 bytes.
HELLO = b"HelloWorld" * 4
HELLO_RAW = bytes.fromhex("864fd26fb559f75b") * 4


def test_a_pair_belongs_together_and_its_halves_are_keys():
    public, secret = keypair()
    assert (len(public), len(secret)) == (40, 40)
    assert public_of(secret) == public != secret
    assert z85(raw(public)) == public
    assert raw(public.decode()) == raw(public)


def test_z85_is_that_of_its_rfc():
    assert raw(HELLO) == HELLO_RAW
    assert z85(HELLO_RAW) == HELLO
    assert raw(b"%nSc0" * 8) == b"\xff" * 32


def test_a_command_line_cannot_take_a_public_key_for_an_option(monkeypatch):
    pairs = iter([(b"-" * 40, b"0" * 40), (b"0" * 40, b"1" * 40)])
    monkeypatch.setattr(zmq, "curve_keypair", lambda: next(pairs))
    assert keypair() == (b"0" * 40, b"1" * 40)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (b"", "40 characters, not 0"),
        (b"SeCrE" * 7, "40 characters, not 35"),
        (b"SeCrE" * 9, "40 characters, not 45"),
        (b"SeCr " * 8, "not among Z85's"),
        (b'SeCr"' * 8, "not among Z85's"),
        (b"SeCr\0" * 8, "not among Z85's"),
        (b"SeCr\xff" * 8, "not among Z85's"),
        ("SeCré" * 8, "not among Z85's"),
        ("SeCr\ud800" * 8, "not among Z85's"),
        (b"#SeCr" * 8, "beyond 32 bits"),
        (b"%nSc1" * 8, "beyond 32 bits"),
    ],
)
def test_what_cannot_be_a_key_is_refused_and_not_shown(text, wrong):
    for refuse in (raw, public_of, fingerprint):
        with pytest.raises(ValueError, match=wrong) as caught:
            refuse(text)
        assert "SeC" not in repr(caught.value)
        assert caught.value.__context__ is None


@pytest.mark.parametrize("size", [0, 31, 33, 40])
def test_only_32_bytes_have_a_text(size):
    with pytest.raises(ValueError, match=f"32 bytes, not {size}"):
        z85(bytes(size))


def test_a_fingerprint_is_short_and_of_the_raw_key():
    assert fingerprint(HELLO) == "111258a5fe48"


def test_a_libzmq_without_curve_is_told(monkeypatch):
    monkeypatch.setattr(zmq, "has", lambda feature: feature != "curve")
    assert not curve.available()
    for use in (keypair, lambda: public_of(HELLO)):
        with pytest.raises(Unsupported, match="without CURVE"):
            use()
