"""The base of every pipeline's parameter models: frozen, no unknown key, unit and range in words."""

from pydantic import BaseModel, ConfigDict


class Parameters(BaseModel):
    """A group of parameters of `conf/base/parameters`, checked by Kedro before anything runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")
