"""The public data sets and checkpoints that can be named, from `registry.yml`."""

from functools import cache
from importlib.resources import files
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

UNKNOWN_LICENCE = "not stated; read it at the source"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Expected(_Row):
    """The shape of a data set as its paper or its loader states it; not checked when written down."""

    stated: str = Field(description="what is said of the shape, in words")
    cells: int | None = Field(None, gt=0, description="cells, where a whole number is stated")
    genes: int | None = Field(None, gt=0, description="genes, where a whole number is stated")
    proteins: int | None = Field(None, gt=0, description="proteins, where a number is stated")


class PublicData(_Row):
    """A public data set: where it comes from and what it should be."""

    title: str
    tasks: tuple[str, ...] = Field(min_length=1, description="what it is used for")
    comes: Literal["file", "archive", "by hand", "loader"] = Field(
        description="a file or a zip archive that can be downloaded; a page to fetch it from by "
        "hand; or code of another library"
    )
    address: str = Field(pattern=r"^https://", description="file, archive, or page")
    file: str | None = Field(None, description="name here; else the last part of the address")
    member: str | None = Field(None, description="the file inside the archive")
    loader: str | None = Field(None, description="line of Python that writes it into {folder}")
    needs: str | None = Field(None, description="what has to be installed for the loader")
    licence: str = UNKNOWN_LICENCE
    citation: str
    expected: Expected
    label_key: str | None = Field(None, description="column of obs with the labels, if known")
    batch_key: str | None = Field(None, description="column of obs with the batches, if known")
    note: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> "PublicData":
        if (self.comes == "archive") != (self.member is not None):
            raise ValueError("`member` belongs to an archive, and an archive has one")
        return self

    @property
    def can_be_fetched(self) -> bool:
        """Whether `scm data pull` can download it."""
        return self.comes in ("file", "archive")

    @property
    def file_name(self) -> str:
        """What the file is called here."""
        return self.file or (self.member or self.address).rsplit("/", 1)[-1]


class PublicCheckpoint(_Row):
    """A public checkpoint, to be fetched by hand."""

    title: str
    address: str = Field(pattern=r"^https://")
    licence: str = UNKNOWN_LICENCE
    citation: str
    how: str = Field(description="what to do with it")


class Registry(_Row):
    """Everything that has a name, in the order of the file."""

    data: dict[str, PublicData]
    checkpoints: dict[str, PublicCheckpoint]


@cache
def registry() -> Registry:
    """Read the registry that comes with the package."""
    text = (files("sc_mamba2.versions") / "registry.yml").read_text(encoding="utf-8")
    return Registry(**yaml.safe_load(text))
