"""One self-contained HTML page: text, tables and pictures inside, no script, nothing fetched."""

import base64
from dataclasses import dataclass, field
from importlib.resources import files

from jinja2 import Environment


@dataclass(frozen=True)
class Table:
    """A table of text; `best` marks rows that are to stand out."""

    header: list[str]
    rows: list[list[str]]
    caption: str = ""
    best: frozenset[int] = frozenset()


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
    source = files("sc_mamba2.reporting").joinpath("report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source).render(
        title=title, lead=lead, sections=sections, footer=footer
    )
