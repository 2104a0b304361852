"""What a bus runs, as JSON and as a plain page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from html import escape
from typing import Any

from ..bus.bus import Bus

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>{title}</title>
<style>body {{ font: 14px system-ui, sans-serif; margin: 2em }} td, th {{ padding: .2em 1em; text-align: left }}
tr:nth-child(even) {{ background: #f3f3f3 }}
caption {{ text-align: left; font-weight: bold; padding: .5em 1em }}</style>
<table><caption>{title}</caption>
<tr><th>service</th><th>state</th><th>counts</th></tr>
{rows}
</table></html>
"""


class Status:
    """A WSGI application that tells how everything on `bus` is doing.

    JSON for who asks for it (``Accept: application/json`` or ``?format=json``), else a page that renews itself. It
    shows addresses and counts, no messages; whether strangers may see that is for the application around it.
    """

    def __init__(self, bus: Bus) -> None:
        if not isinstance(bus, Bus):
            raise TypeError(f"a status is of a Bus, not {type(bus).__qualname__}")
        self._bus = bus

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
    ) -> Iterable[bytes]:
        """The WSGI application."""
        told = self._told()
        wants_json = "format=json" in environ.get("QUERY_STRING", "") or "json" in environ.get("HTTP_ACCEPT", "")
        kind, text = ("application/json", json.dumps(told)) if wants_json else ("text/html", _page(told))
        body = text.encode()
        headers = [
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        start_response("200 OK", headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    def _told(self) -> dict[str, Any]:
        bus = self._bus
        statistics = bus.statistics()
        services = {
            name: {"state": str(getattr(service, "state", "")), "about": repr(service)}
            | ({"statistics": _plain(statistics.services[name])} if name in statistics.services else {})
            for name, service in bus.services().items()
        }
        return {"bus": bus.name, "state": bus.state, "statistics": _plain(statistics), "services": services}


def _plain(statistics: Any) -> dict[str, Any]:
    if not is_dataclass(statistics):
        return {}
    values = ((each.name, getattr(statistics, each.name)) for each in fields(statistics))
    return {name: value for name, value in values if not isinstance(value, Mapping)}


def _page(told: dict[str, Any]) -> str:
    title = f"zbus {told['bus']}".rstrip()
    lines = [("all", told["state"], told["statistics"])]
    lines += [(one["about"], one["state"], one.get("statistics", {})) for one in told["services"].values()]
    rows = "\n".join(
        f"<tr><td>{escape(about)}</td><td>{escape(state)}</td><td>{escape(_counts(counts))}</td></tr>"
        for about, state, counts in lines
    )
    return _PAGE.format(title=escape(title), rows=rows)


def _counts(counts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in counts.items() if value) or "–"
