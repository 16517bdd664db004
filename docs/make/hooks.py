"""What MkDocs calls while it builds the site.

Pages link to files of the repository outside `docs/`, as GitHub shows them. These come along under
`repository/`, and so do the files that they link to; the page of the command is made from its code, the table of
faults from their results.
"""

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urldefrag

from cli_reference import cli_reference  # MkDocs looks beside its hooks
from faults_table import faults_table
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
OUTSIDE = PurePosixPath("repository")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s]+)(?=\))")
ROW = re.compile(r"^\| \[([^\]]+)\]\(([^)]+\.md)\) \|", re.MULTILINE)
CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)


def on_config(config: Any) -> Any:
    """Make the navigation from the index of pages: a section a heading, a page a row."""
    index = Path(config.docs_dir) / "README.md"
    if config.nav is None and index.is_file():
        sections = re.split(r"^## ", index.read_text("utf-8"), flags=re.MULTILINE)[1:]
        config.nav = [{"Home": "README.md"}] + [
            {section.partition("\n")[0]: [{title: page} for title, page in ROW.findall(section)]}
            for section in sections
        ]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add every file of the repository that a page leads to, over any number of links."""
    docs = Path(config.docs_dir)
    waiting = [docs / file.src_uri for file in files.documentation_pages()]
    seen: set[Path] = set()
    while waiting:
        page = waiting.pop()
        for target in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
            path = _linked(page, target)
            if path in seen or not path.is_file() or not _is_outside(path, docs):
                continue
            seen.add(path)
            uri = str(OUTSIDE / path.relative_to(ROOT).as_posix())
            files.append(File.generated(config, uri, abs_src_path=str(path)))
            if path.suffix == ".md":
                waiting.append(path)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links of the repository into links of the site."""
    docs = Path(config.docs_dir)
    uri = PurePosixPath(page.file.src_uri)
    source = ROOT / uri.relative_to(OUTSIDE) if uri.is_relative_to(OUTSIDE) else docs / uri
    markdown = markdown.replace("<!-- made from the code -->", cli_reference())
    markdown = markdown.replace("<!-- made from the faults -->", faults_table())

    def rewrite(match: re.Match[str]) -> str:
        path, anchor = urldefrag(match[1])
        target = _linked(source, path)
        if target.is_relative_to(docs):
            found = target.relative_to(docs).as_posix()
        elif _is_outside(target, docs):
            found = str(OUTSIDE / target.relative_to(ROOT).as_posix())
        else:
            found = ""
        if not path or files.get_file_from_path(found) is None:
            return match[1]  # MkDocs tells what it leads to, if anything
        return os.path.relpath(found, str(uri.parent)) + (f"#{anchor}" if anchor else "")

    parts = CODE.split(markdown)
    parts[::2] = [LINK.sub(rewrite, part) for part in parts[::2]]
    return "".join(parts)


def _linked(page: Path, target: str) -> Path:
    return Path(os.path.normpath(page.parent / urldefrag(target)[0]))


def _is_outside(path: Path, docs: Path) -> bool:
    """Tell whether a path is of the repository but not a page."""
    return path.is_relative_to(ROOT) and not path.is_relative_to(docs)
