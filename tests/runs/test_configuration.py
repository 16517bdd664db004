import pytest
from kedro.config import OmegaConfigLoader

from sc_mamba2.errors import UserError
from sc_mamba2.runs.configuration import CONFIG_LOADER, check_params, shipped_conf
from sc_mamba2.tasks.annotation import params as annotation
from sc_mamba2.tasks.batch_correction import params as batch_correction
from sc_mamba2.tasks.embedding import params as embedding
from sc_mamba2.tasks.gene_network import params as gene_network
from sc_mamba2.tasks.multiomics import params as multiomics
from sc_mamba2.tasks.perturbation import params as perturbation
from sc_mamba2.tasks.perturbation.reverse import params as reverse_perturbation
from sc_mamba2.tasks.pretraining.params import CorpusParams, LaunchParams
from sc_mamba2.tasks.shared import params as backbone
from sc_mamba2.tasks.shared.params import IngestionParams, TokenizationParams, ValidationParams
from sc_mamba2.tokens import MaskOptions
from sc_mamba2.training import ComputeOptions, job

MODELS = {
    "compute": ComputeOptions,
    "ingestion": IngestionParams,
    "validation": ValidationParams,
    "tokenization": TokenizationParams,
    "pretraining": {
        "corpus": CorpusParams,
        "launch": LaunchParams,
        "shape": job.Shape,
        "masks": MaskOptions,
        "sampling": job.SamplingOptions,
        "objective": job.ObjectiveOptions,
        "training": job.PretrainOptions,
        "held_out": job.HeldOut,
        "keep": job.KeepOptions,
    },
    "embedding": {
        "source": embedding.SourceParams,
        "options": embedding.EmbeddingOptions,
        "keys": embedding.KeyParams,
        "evaluation": embedding.EvaluationParams,
        "mapping": embedding.MappingParams,
    },
    "annotation": {
        "labels": annotation.LabelParams,
        "backbone": backbone.BackboneParams,
        "head": annotation.HeadParams,
        "fine_tune": backbone.FineTuneParams,
        "predict": backbone.PredictParams,
        "calls": annotation.CallParams,
        "baselines": annotation.BaselineParams,
        "ablations": annotation.AblationParams,
    },
    "batch_correction": {
        "keys": batch_correction.KeyParams,
        "backbone": backbone.BackboneParams,
        "head": batch_correction.HeadParams,
        "objective": batch_correction.LossParams,
        "fine_tune": batch_correction.CorrectionFitParams,
        "predict": backbone.PredictParams,
        "baselines": batch_correction.BaselineParams,
        "ablations": batch_correction.AblationParams,
        "output": batch_correction.OutputParams,
    },
    "perturbation": {
        "keys": perturbation.KeyParams,
        "split": perturbation.SplitParams,
        "backbone": backbone.BackboneParams,
        "start": perturbation.StartParams,
        "head": perturbation.HeadParams,
        "fine_tune": perturbation.PerturbationFitParams,
        "predict": backbone.PredictParams,
        "population": perturbation.PopulationParams,
        "evaluation": perturbation.ScoreParams,
        "ablations": perturbation.AblationParams,
    },
    "reverse_perturbation": {
        "states": reverse_perturbation.StateParams,
        "candidates": reverse_perturbation.CandidateParams,
        "rank": reverse_perturbation.RankParams,
        "known": reverse_perturbation.KnownParams,
    },
    "multiomics": {
        "source": multiomics.SourceParams,
        "keys": multiomics.KeyParams,
        "features": multiomics.FeatureParams,
        "backbone": multiomics.JointBackboneParams,
        "head": multiomics.HeadParams,
        "objective": multiomics.LossParams,
        "fine_tune": multiomics.JointFitParams,
        "imputation": multiomics.ImputationParams,
        "predict": backbone.PredictParams,
        "baselines": multiomics.BaselineParams,
        "ablations": multiomics.AblationParams,
        "evaluation": multiomics.EvaluationParams,
        "output": multiomics.OutputParams,
    },
    "gene_network": {
        "reference": gene_network.ReferenceParams,
        "genes": gene_network.GeneParams,
        "scoring": gene_network.ScoreParams,
        "baselines": gene_network.BaselineParams,
        "network": gene_network.NetworkParams,
    },
}


def base_parameters() -> dict:
    return OmegaConfigLoader(str(shipped_conf()), env="base", **CONFIG_LOADER)["parameters"]


def defaults(models) -> dict:
    if isinstance(models, dict):
        return {name: defaults(model) for name, model in models.items()}
    return models().model_dump(mode="json")


def test_conf_base_repeats_the_defaults_of_the_models():
    assert base_parameters() == defaults(MODELS)


def test_every_parameter_says_what_it_is():
    def models(part):
        return (
            [m for sub in part.values() for m in models(sub)] if isinstance(part, dict) else [part]
        )

    for model in models(MODELS):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name} has no description"


@pytest.mark.parametrize("env", ["base", "test", "gpu"])
def test_every_environment_holds_known_and_valid_parameters(env):
    loader = OmegaConfigLoader(str(shipped_conf()), env=env, **CONFIG_LOADER)
    parameters = loader["parameters"]
    check_params(parameters, shipped_conf(), "base")
    for group, models in MODELS.items():
        if isinstance(models, dict):
            for name, model in models.items():
                model(**parameters[group][name])
        else:
            models(**parameters[group])


def test_an_unknown_parameter_gets_the_nearest_name():
    with pytest.raises(UserError, match=r"did you mean 'annotation.fine_tune.max_epochs'"):
        check_params({"annotation": {"fine_tune": {"max_epoch": 3}}}, shipped_conf(), None)


def test_sources_are_known_parameters():
    check_params({"input": "x", "query": "y", "checkpoint": "z"}, shipped_conf(), None)
