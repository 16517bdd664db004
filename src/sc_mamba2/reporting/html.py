"""One self-contained HTML page: text, tables and pictures inside, no script, nothing fetched."""

import base64
import re
from dataclasses import dataclass, field
from importlib.resources import files

from jinja2 import Environment

_NUMBER = re.compile(r"–|[-+]?\d[\d,]*(\.\d+)?%?")

# Pictures are drawn finely and shown smaller: then letters of 9 points are as large as those of a table.
_SHOWN = 0.72


@dataclass(frozen=True)
class Table:
    """A table of text under a caption; `best` marks rows that are to stand out."""

    header: list[str]
    rows: list[list[str]]
    caption: str
    best: frozenset[int] = frozenset()

    @property
    def numeric(self) -> frozenset[int]:
        """Columns that hold numbers alone, which are set to the right."""
        columns = enumerate(zip(*self.rows, strict=True))
        return frozenset(at for at, cells in columns if all(map(_NUMBER.fullmatch, cells)))


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs, tables and PNG pictures under it."""

    title: str
    paragraphs: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)


def render_report(title: str, lead: str, sections: list[Section], footer: str) -> str:
    """Render a report as one HTML page.

    Parameters
    ----------
    title, lead
        Heading and one sentence under it.
    sections
        In the order in which they are shown. All text is escaped; pictures are PNG bytes by caption.
    footer
        Versions and the like.

    Returns
    -------
    str
        HTML that needs no network and runs no script.
    """
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    environment.filters["shown_width"] = _shown_width
    source = files("sc_mamba2.reporting").joinpath("report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source).render(
        title=title, lead=lead, sections=sections, footer=footer
    )


def _shown_width(png: bytes) -> int:
    """Return how wide a picture is shown, in pixels of the page; its header says how wide it is."""
    return round(_SHOWN * int.from_bytes(png[16:20], "big"))
