"""The report shows everything, escapes everything, and asks for nothing from outside."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from sc_mamba2.reporting import Section, Table, render_report

EVIL = "<script>alert('x')</script>\"><img src=http://evil/>&"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


class Reader(HTMLParser):
    """Collects tags, attributes and text; every opened tag must be closed."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], [], []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def report(text: str = "plain") -> str:
    table = Table([text, text], [[text, text], ["x", "y"]], caption=text, best=frozenset({1}))
    section = Section(text, [text], [table], {text: PICTURE})
    return render_report(text, text, [section, Section("empty")], text)


@pytest.mark.parametrize("text", [EVIL, "=1+1", "T cells, <b>CD4</b> & größer", "' onload='x"])
def test_every_text_is_escaped_and_shown(text):
    page, plain = Reader(report(text)), Reader(report())
    assert page.tags == plain.tags
    assert [a[:2] for a in page.attributes] == [a[:2] for a in plain.attributes]
    assert sum(data.strip() == text for data in page.text) == plain.text.count("plain")
    assert ("img", "alt", text) in page.attributes


def test_nothing_but_our_script_is_run_and_nothing_fetched():
    page = report(EVIL)
    reader = Reader(page)
    assert not {"link", "iframe", "object", "a", "base", "form"} & set(reader.tags)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert reader.tags.count("script") == 1
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{hashed}'\"" in page and not re.search(r"eval|fetch|import", script)
    assert not [a for a in reader.attributes if a[1].startswith("on")]
    for _, name, value in reader.attributes:
        if name in {"src", "href", "srcset", "action", "data", "poster"}:
            assert value.startswith("data:image/png;base64,")
    assert not re.search(r"https?://|@import|url\(", report())
    assert "default-src 'none'" in page


def test_pictures_are_inside():
    sources = [value for tag, name, value in Reader(report()).attributes if name == "src"]
    assert [base64.b64decode(source.split(",")[1]) for source in sources] == [PICTURE]


def test_the_best_row_stands_out():
    rows = re.findall(r"<tr( class=\"best\")?>", report().split("<tbody>")[1])
    assert rows == ["", ' class="best"']


def test_sections_come_in_order_and_equal_input_gives_equal_pages():
    sections = [Section("second"), Section("first")]
    page = render_report("t", "l", sections, "f")
    assert page.index("second") < page.index("first")
    assert page == render_report("t", "l", sections, "f")
