import numpy as np
import pytest
from scipy import sparse

from sc_mamba2.tasks.shared.backbone import predict
from sc_mamba2.tasks.shared.batches import batch_codes
from sc_mamba2.tasks.shared.params import PredictParams
from sc_mamba2.tokens import make_batch
from sc_mamba2.training import ComputeOptions
from sc_mamba2.training.components import components


@pytest.mark.parametrize("paths", [("trunk", "pooled"), ("pooled",)])
def test_an_untrained_model_is_principal_components_without_the_batches_shifts(parts, paths):
    model = parts.model(paths=paths)
    told = predict(model, parts.tokens, PredictParams(), ComputeOptions())["embedding"]
    values = sparse.csr_matrix(
        (parts.tokens.values.astype(float), parts.tokens.gene_rows, parts.tokens.offsets),
        shape=(len(parts.tokens), parts.tokenizer.vocabulary.size),
    )
    codes = batch_codes(parts.tokens.obs["batch"], model.batches)
    scores, _ = components(values, codes, 8, 0)
    # The largest two are told from the gene embedding; a batch's own scale is taken away too.
    for place in range(2):
        for batch in (0, 1):
            own = codes == batch
            alike = np.corrcoef(told[own, place], scores[own, place])[0, 1]
            assert alike > 0.9
            assert abs(told[own, place].mean()) < 0.1


def test_the_first_reconstruction_beats_the_genes_means(parts):
    model = parts.model({"mask_share": 0.0, "mixing": 0.0}, paths=("pooled",)).eval()
    batch = make_batch(parts.tokens, np.arange(len(parts.tokens)), parts.tokenizer.vocabulary)
    assert float(model.loss(batch, model.targets(parts.tokens.obs))) < 1
