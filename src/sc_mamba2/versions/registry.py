"""The public data sets and checkpoints that can be named, from `registry.yml`."""

from functools import cache
from importlib.resources import files
from typing import Literal

import yaml
from pydantic import BaseModel


class Expected(BaseModel, frozen=True, extra="forbid"):
    """The shape as a paper or a loader states it; numbers where a whole one is stated."""

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
    file: str | None = None  # its name here; else the last part of the address
    member: str | None = None  # the file inside the archive
    loader: str | None = None  # line of Python that writes it into {folder}
    needs: str | None = None  # what has to be installed for the loader
    licence: str = "not stated; read it at the source"
    citation: str
    expected: Expected
    label_key: str | None = None  # columns of obs, where known
    batch_key: str | None = None
    note: str | None = None

    @property
    def file_name(self) -> str:
        """What the file is called here."""
        return self.file or (self.member or self.address).rsplit("/", 1)[-1]


class Registry(BaseModel, frozen=True, extra="forbid"):
    """Everything that has a name, in the order of the file; of checkpoints the facts as they stand there."""

    data: dict[str, PublicData]
    checkpoints: dict[str, dict[str, str]]


@cache
def registry() -> Registry:
    """Read the registry that comes with the package."""
    text = (files("sc_mamba2.versions") / "registry.yml").read_text(encoding="utf-8")
    return Registry(**yaml.safe_load(text))
