"""The layers of the package, enforced by reading its imports; nothing is imported to find out.

A module may import from its own layer and from those its row names. Imports under
``TYPE_CHECKING`` obey the layers too, but close no circle. Importing a module counts as an import
of that module and not of the packages around it: ``zbus/__init__.py`` is an edge, and everything
would seem to reach it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "zbus"
LONGEST = 300

HOUSE = "errors wire green patterns devices bus filters"
EDGES = "__init__ __main__ security web cli testing"

MAY_IMPORT = {
    "errors": "",
    "wire": "errors wire",
    "green": "errors wire green",
    "patterns": "errors wire green patterns",
    "devices": "errors wire green devices",
    "bus": "errors wire green patterns devices bus",
    "filters": "errors wire filters",
} | dict.fromkeys(EDGES.split(), f"{HOUSE} {EDGES}")

# Third parties, for the layers that are choosy about them.
MAY_USE = {"errors": "", "wire": "msgpack", "filters": ""}
ONLY_GREEN = "zmq"


class Import(NamedTuple):
    line: int
    target: str
    when_typing: bool


def module_names(package: Path) -> dict[str, Path]:
    names = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def layer_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports_of(module: str, modules: dict[str, Path]) -> Iterator[Import]:
    path = modules[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    for node, when_typing in walk(tree, False):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, when_typing)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                submodule = f"{origin}.{alias.name}"
                target = submodule if submodule in modules else origin
                yield Import(node.lineno, target, when_typing)


def walk(node: ast.AST, when_typing: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Every node below `node`, with whether only a type checker gets there."""
    guarded: list[ast.stmt] = []
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        guarded = node.body if not ast.unparse(node.test).startswith("not ") else node.orelse
    for child in ast.iter_child_nodes(node):
        typing_here = when_typing or child in guarded
        yield child, typing_here
        yield from walk(child, typing_here)


def complaints(package: Path) -> Iterator[str]:
    modules = module_names(package)
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        layer = layer_of(module)
        if layer not in MAY_IMPORT:
            yield f"{path}: {layer} has no row in the table of layers"
            continue
        length = len(path.read_text(encoding="utf-8").splitlines())
        if length > LONGEST:
            yield f"{path}: {length} lines, more than {LONGEST}"
        graph[module] = set()
        for line, target, when_typing in imports_of(module, modules):
            if not allowed(layer, target):
                yield f"{path}:{line}: {layer} imports {target}"
            if target in modules and not when_typing:
                graph[module].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield "a circle of imports: " + " <- ".join(error.args[1])


def allowed(layer: str, target: str) -> bool:
    top = target.split(".")[0]
    if top == "zbus":
        return layer_of(target) in MAY_IMPORT[layer].split()
    if top in sys.stdlib_module_names:
        return True
    if top == ONLY_GREEN:
        return layer == "green"
    return layer not in MAY_USE or top in MAY_USE[layer].split()


def test_layers_are_kept_and_modules_stay_short():
    assert list(complaints(PACKAGE)) == []


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"errors.py": "from .wire import codec"}, "errors imports zbus.wire"),
        ({"errors.py": "import msgpack"}, "errors imports msgpack"),
        ({"wire/codec.py": "from gevent.lock import RLock"}, "wire imports gevent.lock"),
        ({"wire/codec.py": "import zmq"}, "wire imports zmq"),
        ({"wire/codec.py": "from ..green.socket import Socket"}, "wire imports zbus.green.socket"),
        ({"green/socket.py": "def f():\n    from zbus import web"}, "green imports zbus"),
        ({"patterns/pair.py": "import zmq.green"}, "patterns imports zmq.green"),
        ({"devices/launch.py": "from ..patterns import pair"}, "devices imports zbus.patterns"),
        ({"cli/bench.py": "import zmq"}, "cli imports zmq"),
        ({"filters.py": "import gevent"}, "filters imports gevent"),
        ({"filters.py": "from zbus.green import socket"}, "filters imports zbus.green"),
        ({"stray.py": ""}, "stray has no row"),
        ({"bus/bus.py": "\n" * 301}, "301 lines"),
        (
            {"bus/bus.py": "if TYPE_CHECKING:\n    from ..web import Status"},
            "bus imports zbus.web",
        ),
        (
            {"wire/__init__.py": "from .a import A", "wire/a.py": "from . import B"},
            "a circle of imports",
        ),
        (
            {"wire/a.py": "import zbus.wire.b", "wire/b.py": "def f():\n    from . import a"},
            "a circle of imports",
        ),
    ],
)
def test_breaking_a_rule_is_seen(tmp_path, files, complaint):
    write(tmp_path, files)
    assert complaint in "\n".join(complaints(tmp_path / "zbus"))


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"wire/codec.py": "import msgpack\nfrom zbus import errors", "errors.py": ""},
        {"green/socket.py": "import zmq.green\nfrom ..wire.message import Message"},
        {"bus/bus.py": "import gevent\nfrom ..patterns import pair\nimport zbus.devices.spec"},
        {"web.py": "import zbus\nfrom zbus.bus import Bus", "__init__.py": "from .errors import E"},
        {
            "wire/a.py": "import typing as t\nif t.TYPE_CHECKING:\n    from .b import B",
            "wire/b.py": "from .a import A",
        },
    ],
)
def test_keeping_the_rules_is_quiet(tmp_path, files):
    write(tmp_path, files)
    assert list(complaints(tmp_path / "zbus")) == []


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / "zbus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
