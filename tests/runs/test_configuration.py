import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog
from pydantic import BaseModel

from sc_mamba2.errors import UserError
from sc_mamba2.pipelines.registry import named_pipelines
from sc_mamba2.runs.configuration import (
    CONFIG_LOADER,
    check_params,
    load_configuration,
    shipped_conf,
)
from sc_mamba2.runs.hooks import PLACES
from sc_mamba2.tasks.annotation.params import AnnotationParams
from sc_mamba2.tasks.batch_correction.params import BatchCorrectionParams
from sc_mamba2.tasks.denoising.params import DenoisingParams
from sc_mamba2.tasks.embedding.params import EmbeddingParams
from sc_mamba2.tasks.gene_network.params import GeneNetworkParams
from sc_mamba2.tasks.multiomics.params import MultiomicsParams
from sc_mamba2.tasks.perturbation.params import PerturbationParams
from sc_mamba2.tasks.perturbation.reverse.params import ReversePerturbationParams
from sc_mamba2.tasks.pretraining.params import PretrainingParams
from sc_mamba2.tasks.shared.parameters import flatten
from sc_mamba2.tasks.shared.params import SHARED_GROUPS

MODELS: dict[str, type[BaseModel]] = SHARED_GROUPS | {
    "annotation": AnnotationParams,
    "batch_correction": BatchCorrectionParams,
    "denoising": DenoisingParams,
    "embedding": EmbeddingParams,
    "gene_network": GeneNetworkParams,
    "multiomics": MultiomicsParams,
    "perturbation": PerturbationParams,
    "pretraining": PretrainingParams,
    "reverse_perturbation": ReversePerturbationParams,
}


def base_parameters() -> dict:
    return OmegaConfigLoader(str(shipped_conf()), env="base", **CONFIG_LOADER)["parameters"]


def test_conf_base_repeats_the_defaults_of_the_models():
    defaults = {name: model().model_dump(mode="json") for name, model in MODELS.items()}
    assert base_parameters() == defaults


def test_every_parameter_says_what_it_is():
    for name, root in MODELS.items():
        grouped = name not in SHARED_GROUPS
        models = [f.annotation for f in root.model_fields.values()] if grouped else [root]
        for model in models:
            for field, facts in model.model_fields.items():
                assert facts.description, f"{model.__name__}.{field} has no description"


@pytest.mark.parametrize("env", ["base", "test", "gpu"])
def test_every_environment_holds_known_and_valid_parameters(env):
    loader = OmegaConfigLoader(str(shipped_conf()), env=env, **CONFIG_LOADER)
    parameters = loader["parameters"]
    check_params(parameters, shipped_conf(), "base")
    for group, model in MODELS.items():
        model.model_validate(parameters[group])


def test_an_unknown_parameter_gets_the_nearest_name():
    with pytest.raises(UserError, match=r"did you mean 'annotation.fine_tune.max_epochs'"):
        check_params({"annotation": {"fine_tune": {"max_epoch": 3}}}, shipped_conf(), None)


def test_sources_are_known_parameters():
    check_params({"input": "x", "query": "y", "checkpoint": "z"}, shipped_conf(), None)


def places(env: str) -> dict[str, str]:
    """Return what the runs of all pipelines write in an environment, by the name of the dataset or parameter."""
    loader = load_configuration(shipped_conf(), env)
    catalog = DataCatalog.from_config(loader["catalog"])
    named = {name for pipeline in named_pipelines().values() for name in pipeline.all_outputs()}
    paths = {name: getattr(catalog.get(name), "filepath", None) for name in named}
    parameters = flatten(loader["parameters"])
    paths |= {name: parameters[name] for name in PLACES}
    return {name: str(path) for name, path in paths.items() if path}


def test_the_test_environment_shares_no_place_with_real_results():
    real, simulated = places("base"), places("test")
    assert real.keys() == simulated.keys() and len(real) > 50
    for name, path in simulated.items():
        assert path == real[name].replace("data/", "data/test/", 1) != real[name], name
