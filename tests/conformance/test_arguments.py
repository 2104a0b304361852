"""Misuse is refused where it happens, and told what to do: the same for every endpoint."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import zbus
from zbus.green.options import TABLE

BAD_ADDRESSES = {
    "5556": "starts with",
    "": "starts with",
    "udp://127.0.0.1:5556": "starts with",
    "tcp:/127.0.0.1:5556": "starts with",
    "tcp://": "nothing stands behind",
    "inproc://": "nothing stands behind",
    "tcp://127.0.0.1": "host:port",
    "tcp://127.0.0.1:65536": "65535",
    "tcp://127.0.0.1:-1": "65535",
    "tcp://127.0.0.1:http": "65535",
    "tcp://:5556": "host:port",
    "ipc:///" + "x" * 107: "107",
}
BAD_OPTIONS = {
    "codec": ["pickle", object(), None, dict],
    "high_water_mark": [0, -1, 1.5, "10", True, None, 2**31],
    "linger": [-1, "1", float("nan"), True],
    "max_message_bytes": [0, -1, 1e6, None],
    "heartbeat": [0, -1, "2", float("inf")],
    "reconnect": [1, (1,), (0, 1), (1, -1), ("a", "b"), None],
    "name": [None, 5],
    "on_event": ["print", 5],
}


def test_no_address_is_an_error_that_shows_one(kind):
    for given in ({}, {"bind": (), "connect": []}, {"bind": iter(())}):
        with pytest.raises(ValueError, match=r"no address: give bind='tcp://"):
            kind.make(**given)


@pytest.mark.parametrize("verb", ["bind", "connect"])
def test_what_is_no_address_is_refused(kind, verb):
    for address, told in BAD_ADDRESSES.items():
        for given in (address, [address], ["inproc://fine", address]):
            with pytest.raises(ValueError, match=told):
                kind.make(**{verb: given})
    for given in (5, [5], b"tcp://127.0.0.1:5556", None, [None]):
        with pytest.raises(TypeError):
            kind.make(**{verb: given})


def test_a_connect_needs_a_host_and_a_port(kind):
    for address in ("tcp://*:5556", "tcp://127.0.0.1:*", "tcp://127.0.0.1:0"):
        with pytest.raises(ValueError):
            kind.make(connect=address)


def test_what_is_no_address_is_refused_by_connect_and_disconnect(kind, make, inproc_address):
    endpoint = make(kind.make, bind=inproc_address)
    for address, told in BAD_ADDRESSES.items():
        with pytest.raises(ValueError, match=told):
            endpoint.connect(address)
        with pytest.raises(ValueError):
            endpoint.disconnect(address)
    with pytest.raises(TypeError):
        endpoint.connect(None)
    assert endpoint.addresses == (inproc_address,)


def test_one_address_or_several_in_any_iterable(kind, make, inproc_address):
    names = [f"{inproc_address}.{n}" for n in range(2)]
    for given in (names, tuple(names), iter(names), (name for name in names)):
        with make(kind.make, bind=given) as endpoint:
            assert endpoint.addresses == tuple(names)
    with make(kind.make, bind=names[0], connect=names[1], linger=0) as endpoint:
        assert endpoint.addresses == tuple(names)


def test_a_taken_address_names_itself_and_what_to_do(kind, make, address):
    bound = make(kind.make, bind=address).addresses[0]
    with pytest.raises(zbus.AddressInUse, match="forwarder") as caught:
        make(kind.make, bind=bound).start()
    assert bound in str(caught.value)
    assert isinstance(caught.value, OSError)


def test_one_taken_address_of_two_leaves_the_other_free(kind, make, address, inproc_address):
    inproc_address += ".other"
    bound = make(kind.make, bind=address).addresses[0]
    with pytest.raises(zbus.AddressInUse):
        make(kind.make, bind=[inproc_address, bound]).start()
    make(kind.make, bind=inproc_address).start()


def test_an_address_that_cannot_be_bound_is_named(kind, make, tmp_path):
    for address in ("tcp://192.0.2.1:5556", f"ipc://{tmp_path}/missing/folder/s"):
        with pytest.raises(OSError, match=address) as caught:
            make(kind.make, bind=address, insecure=True).start()
        assert not isinstance(caught.value, zbus.AddressInUse)


def test_a_stale_ipc_path_is_taken_over(kind, make, tmp_path):
    import socket

    path = Path(tmp_path, "s")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    make(kind.make, bind=f"ipc://{path}").start()


def test_an_unknown_option_is_refused_with_those_there_are(kind):
    with pytest.raises(TypeError, match="high_water_mark"):
        kind.make(bind="inproc://x", high_watermark=5)


@pytest.mark.parametrize("option", BAD_OPTIONS)
def test_a_bad_value_is_refused_at_the_constructor(kind, option):
    for value in BAD_OPTIONS[option]:
        with pytest.raises((TypeError, ValueError)) as caught:
            kind.make(bind="inproc://x", **{option: value})
        assert option in str(caught.value), f"{option}={value!r}: {caught.value}"


def test_positional_addresses_are_refused(kind):
    cls = type(kind.make(bind="inproc://x"))
    given = ("inproc://x",) if cls is not zbus.Replier else (print, "inproc://x")
    with pytest.raises(TypeError, match="positional"):
        cls(*given)


def test_the_signature_spells_out_every_option(kind):
    parameters = inspect.signature(type(kind.make(bind="inproc://x"))).parameters
    for row in TABLE:
        assert parameters[row.keyword].default == row.default
        assert parameters[row.keyword].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["bind"].default == parameters["connect"].default == ()
    assert "options" not in parameters
    assert "self" not in parameters


def test_every_option_is_taken(kind, make, inproc_address):
    given = {row.keyword: row.default for row in TABLE}
    given |= {"high_water_mark": 7, "linger": None, "heartbeat": None, "name": "here", "reconnect": [0.5, 0.1]}
    with make(kind.make, bind=inproc_address, **given) as endpoint:
        assert "'here'" in repr(endpoint)
