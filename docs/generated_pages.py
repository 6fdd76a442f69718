"""Writes the pages that follow from the code: a method each, losses, encoders, the API.

They lie in ``docs/generated/``, which git ignores, and are made anew by each build.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "generated"
# Rooms in the order of the map, from formulas to commands.
ROOMS = (
    *("functional", "methods", "layers", "convert", "encoders", "contrast"),
    *("added_losses", "models", "hooks", "analysis", "inspect", "deploy", "export"),
    *("bench", "suite", "engine", "serve"),
)


def write_pages(app: Sphinx | None = None) -> None:
    """Make the folder anew."""
    from cmim.added_losses import available_added_losses
    from cmim.contrast import available_losses
    from cmim.methods import available_methods

    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    (FOLDER / "home.txt").write_text(_home())
    _family("methods", "Methods, one by one", available_methods(), _method_page)
    _family("losses", "Contrastive losses", available_losses(), _loss_page)
    _family("added_losses", "Added losses", available_added_losses(), _added_page)
    rooms = {f"cmim.{room}": f"cmim.{room}" for room in ROOMS}
    rooms.update({name: name for name in _packages("tasks")})
    _family("api", "API", list(rooms), _room_page)


def _home() -> str:
    """README without its title, its links as seen from ``docs/``."""
    text = (ROOT / "README.md").read_text().partition("\n")[2]
    text = re.sub(r"\]\((?!https?:|docs/)", "](../", text)
    return text.replace("](docs/", "](")


def _family(
    folder: str, title: str, names: Sequence[str], page: Callable[[str, Path], str]
) -> None:
    place = FOLDER / folder
    place.mkdir(parents=True)
    for name in names:
        (place / f"{name}.rst").write_text(page(name, place))
    listed = "\n".join(f"   {name}" for name in names)
    (place / "index.rst").write_text(
        f"{_heading(title)}\n.. toctree::\n   :maxdepth: 1\n\n{listed}\n"
    )


def _heading(title: str, line: str = "=") -> str:
    return f"{title}\n{line * len(title)}\n"


def _module(name: str) -> str:
    return f".. automodule:: {name}\n   :members:\n   :show-inheritance:\n"


def _method_page(name: str, place: Path) -> str:
    from cmim.analysis.method_picture import draw_methods

    draw_methods(place / f"{name}.png", [name])
    alt = f"forward pass and surrogate gradient of {name}"
    picture = f".. image:: {name}.png\n   :alt: {alt}\n"
    return f"{_heading(name)}\n{picture}\n{_module(f'cmim.methods.{name}')}"


def _loss_page(name: str, place: Path) -> str:
    return f"{_heading(name)}\n{_module(f'cmim.contrast.losses.{name}')}"


def _added_page(name: str, place: Path) -> str:
    return f"{_heading(name)}\n{_module(f'cmim.added_losses.{name}')}"


def _room_page(name: str, place: Path) -> str:
    room = importlib.import_module(name)
    parts = [_heading(name), _module(name) + _hidden(room)]
    elsewhere = ("cmim.methods", "cmim.contrast.losses", "cmim.added_losses")
    for module in _modules(room):
        if module.rpartition(".")[0] not in elsewhere:
            parts += [_heading(module, "-"), _module(module)]
    return "\n".join(parts)


def _hidden(room: ModuleType) -> str:
    """Leave out what has the name of its module, which describes it."""
    names = [part.name for part in pkgutil.iter_modules(room.__path__)]
    return f"   :exclude-members: {', '.join(names)}\n" if names else ""


def _packages(name: str) -> list[str]:
    root = importlib.import_module(name)
    found = pkgutil.iter_modules(root.__path__, f"{name}.")
    return [part.name for part in found if part.ispkg]


def _modules(room: ModuleType) -> Iterator[str]:
    for part in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        if not part.ispkg and not part.name.rpartition(".")[2].startswith("_"):
            yield part.name


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for them."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
