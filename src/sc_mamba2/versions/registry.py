"""The public data sets and checkpoints, from `registry.yml`."""

from functools import cache
from importlib.resources import files
from typing import Literal

import yaml
from pydantic import BaseModel


class Expected(BaseModel, frozen=True, extra="forbid"):
    """The shape stated by a paper or loader; numbers only where an exact one is stated."""

    stated: str
    cells: int | None = None
    genes: int | None = None
    proteins: int | None = None


class PublicData(BaseModel, frozen=True, extra="forbid"):
    """A public data set: where it comes from and what it should be."""

    title: str
    tasks: tuple[str, ...]
    comes: Literal["file", "archive", "by hand", "loader"]
    address: str  # of the file, the zip archive, or a page
    file: str | None = None  # its local name; else the last part of the address
    member: str | None = None  # the file inside the archive
    loader: str | None = None  # line of Python that writes it into {folder}
    needs: str | None = None  # what to install for the loader
    licence: str = "not stated; read it at the source"
    citation: str
    expected: Expected
    label_key: str | None = None  # columns of obs, where known
    batch_key: str | None = None
    note: str | None = None

    @property
    def file_name(self) -> str:
        """The local name of the file."""
        return self.file or (self.member or self.address).rsplit("/", 1)[-1]


class Registry(BaseModel, frozen=True, extra="forbid"):
    """All entries of the file, in its order; checkpoints as plain dictionaries."""

    data: dict[str, PublicData]
    checkpoints: dict[str, dict[str, str]]


@cache
def registry() -> Registry:
    """Read the registry shipped with the package."""
    text = (files("sc_mamba2.versions") / "registry.yml").read_text(encoding="utf-8")
    return Registry(**yaml.safe_load(text))
