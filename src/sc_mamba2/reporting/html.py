"""Self-contained HTML pages with text, tables, figures, maps and one script; nothing is fetched."""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from jinja2 import Environment

from sc_mamba2.reporting.cell_map import CellMap

_NUMBER = re.compile(r"–|[-+]?\d[\d,]*(\.\d+)?%?")

# Pictures are drawn finely and shown smaller: then letters of 9 points are as large as those of a table.
_SHOWN = 0.72


@dataclass(frozen=True)
class Table:
    """A table of text with a caption; `best` are the rows to highlight."""

    header: list[str]
    rows: list[list[str]]
    caption: str
    best: frozenset[int] = frozenset()

    @property
    def numeric(self) -> frozenset[int]:
        """Columns that contain only numbers, which are right-aligned."""
        columns = enumerate(zip(*self.rows, strict=True))
        return frozenset(at for at, cells in columns if all(map(_NUMBER.fullmatch, cells)))


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs, tables and PNG figures, and a map with its static figures (`stills`)."""

    title: str
    paragraphs: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    cell_map: CellMap | None = None
    stills: dict[str, bytes] = field(default_factory=dict)


def render_report(title: str, lead: str, sections: list[Section], footer: str) -> str:
    """Render a report as one HTML page.

    Parameters
    ----------
    title, lead
        Heading, and three sentences: the result, how far to trust it, what to look at.
    sections
        Sections in order. All text is escaped; figures are PNG bytes by caption.
    footer
        Versions and the like.

    Returns
    -------
    str
        HTML that needs no network. Its policy allows only its own script, by hash.
    """
    parts = {"title": title, "lead": lead, "sections": sections, "footer": footer}
    return _render("report", parts)


def render_explorer(title: str) -> str:
    """Render the page of `scm explore`, which requests data only from its own server.

    Like a report it allows only its own script, by hash.
    """
    return _render("explore", {"title": title})


def _render(page: str, parts: dict[str, Any]) -> str:
    """Render a template of this package with the map's script and its own."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    environment.filters["shown_width"] = _shown_width
    script = f"{read_asset('cell_map.js')}\n{read_asset(f'{page}.js')}"
    return environment.from_string(read_asset(f"{page}.html.j2")).render(
        **parts,
        style=read_asset("cell_map.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def read_asset(name: str) -> str:
    """Return the text of a template, script or style sheet of this package."""
    return files("sc_mamba2.reporting").joinpath(name).read_text(encoding="utf-8")


def _shown_width(png: bytes) -> int:
    """Return the displayed width of a PNG in pixels, from the width in its header."""
    return round(_SHOWN * int.from_bytes(png[16:20], "big"))
