"""The public names are those in ``zbus.__all__``, in ASCII order, and each is documented."""

import inspect

import zbus


def test_all_is_sorted_without_repeats():
    assert list(zbus.__all__) == sorted(set(zbus.__all__))


def test_every_name_in_all_exists():
    assert [name for name in zbus.__all__ if not hasattr(zbus, name)] == []


def test_every_public_name_is_in_all():
    public = {name for name, value in vars(zbus).items() if not inspect.ismodule(value)}
    assert {name for name in public if not name.startswith("_")} <= set(zbus.__all__)


def test_every_exported_object_has_a_docstring_of_its_own():
    documented = {name: getattr(zbus, name).__doc__ or "" for name in zbus.__all__}
    # A dataclass without a docstring is given its signature for one.
    assert [n for n, doc in documented.items() if not doc or doc.startswith(f"{n}(")] == []
