"""User options for the pretraining objectives. Imports nothing heavy."""

from pydantic import Field

from sc_mamba2.tokens.options import Options


class ObjectiveOptions(Options):
    """Weights of the loss terms of the masked objective, at least 0."""

    expression: float = Field(
        1.0, ge=0, description="squared error of a masked token's bin, relative to the highest bin"
    )
    cell_expression: float = Field(
        1.0, ge=0, description="the same, predicted from the cell embedding alone"
    )
    zeros: float = Field(
        0.1, ge=0, description="log loss of whether a masked token is expressed, from the token"
    )
    cell_zeros: float = Field(0.1, ge=0, description="the same, from the cell embedding alone")
    cell_genes: float = Field(
        0.1, ge=0, description="log loss of which genes were left out, from the cell embedding"
    )


class MoleculeOptions(Options):
    """Weights of the loss terms of the count-splitting objective, at least 0."""

    plain: float = Field(
        0.5,
        ge=0,
        description="negative log-likelihood of the predicted rates, in nats per left-out molecule",
    )
    posterior: float = Field(
        0.5,
        ge=0,
        description="the same, for rates that also use the counts of the kept molecules",
    )
    types: float = Field(
        0.5,
        ge=0,
        description="log loss of the cell's membership in Cell Ontology terms, where its type is known",
    )
