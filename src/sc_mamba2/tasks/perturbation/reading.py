"""Read perturbed and control cells and their contexts.

`cells.perturbations` reads and checks the names of perturbations.
"""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sc_mamba2.cells import PerturbationNames, label_text, learn_names, read_perturbations
from sc_mamba2.cells.labels import full_column
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.perturbation.params import KeyParams
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION, WHOLE

ONE_CONTEXT = "all"


def read_cells(
    valid_cells: AnnData, keys: KeyParams
) -> tuple[AnnData, PerturbationNames, list[dict[str, Any]]]:
    """Read perturbation and context of the cells; cells without either are left out.

    Returns
    -------
    cells
        With ``obs["perturbation"]`` (canonical) and ``obs["context"]``; ``uns["whole_names"]`` lists the
        names that contain a "+" but are no combination.
    known
        How names are read.
    remarks
        Those of `read_perturbations`, and ``context-without-control``.

    Raises
    ------
    UserError
        Rules of `read_perturbations`; ``context-missing``, ``context-incomplete``.
    """
    obs = valid_cells.obs
    names, known, remarks = read_perturbations(
        obs, keys.perturbation_key, keys.rules, keys.fewest_cells, keys.dose_key
    )
    contexts = read_contexts(obs.loc[names.index], keys)
    cells = valid_cells[names.index].copy()
    cells.obs = pd.DataFrame({PERTURBATION: names, CONTEXT: contexts}, index=names.index)
    if known.whole:
        cells.uns[WHOLE] = np.array(sorted(known.whole), dtype=object)
    without_control = sorted(set(contexts) - set(contexts[names == keys.control]))
    if without_control:
        shown = ", ".join(f"'{name}'" for name in without_control[:5])
        remark = (
            f"{len(without_control):,} contexts have no control cell ({shown}); their cells are compared with "
            "the control cells of all contexts"
        )
        remarks.append({"rule": "context-without-control", "remark": remark})
    return cells, known, remarks


def read_controls(valid_cells: AnnData, keys: KeyParams, genes: tuple[str, ...]) -> AnnData:
    """Return the control cells of a file over the genes of a trained model.

    Without the column of perturbations all cells are controls. Genes that are not measured are 0.

    Raises
    ------
    UserError
        ``control-missing``, ``context-missing``, ``context-incomplete``, ``genes-not-shared``.
    """
    cells = valid_cells
    if keys.perturbation_key in cells.obs:
        names = label_text(cells.obs[keys.perturbation_key])
        known = learn_names(names.unique(), keys.rules)
        controls = {name for name in names.unique() if known.resolve(name) == keys.control}
        chosen = names.index[names.isin(controls)]
        if not len(chosen):
            found = ", ".join(f"'{name}'" for name in sorted(set(names))[:5])
            raise UserError(
                "control-missing",
                found=f"no cells of the control '{keys.control}' in "
                f"obs['{keys.perturbation_key}'] (found: {found})",
                expected="unperturbed cells, from which predictions start",
                mend="name them as in the training, or omit the column",
            )
        cells = cells[chosen]
    aligned = over_genes(cells, genes)
    contexts = read_contexts(cells.obs, keys)
    aligned.obs = pd.DataFrame({PERTURBATION: keys.control, CONTEXT: contexts}, cells.obs_names)
    return aligned


def over_genes(cells: AnnData, genes: tuple[str, ...]) -> AnnData:
    """Return cells over the genes of a model, in its order; genes that are not measured are 0.

    Raises
    ------
    UserError
        Rule ``genes-not-shared``.
    """
    place = {ident: at for at, ident in enumerate(cells.var_names)}
    known = [at for at, gene in enumerate(genes) if gene in place]
    if not known:
        raise UserError(
            "genes-not-shared",
            found="no gene of the checkpoint among the genes of the file",
            expected="cells with genes used in the training of the checkpoint",
            mend="check that both are human",
        )
    columns = sparse.csc_matrix(cells.X[:, [place[genes[at]] for at in known]])
    spread = np.zeros(len(genes), dtype=np.int64)
    spread[known] = np.diff(columns.indptr)
    indptr = np.concatenate([[0], np.cumsum(spread)])
    matrix = sparse.csc_matrix((columns.data, columns.indices, indptr), (cells.n_obs, len(genes)))
    symbols = cells.var["symbol"].reindex(genes).fillna("").astype(str)
    obs = cells.obs[[]].copy()
    return AnnData(matrix.tocsr(), obs=obs, var=pd.DataFrame({"symbol": symbols}))


def read_contexts(obs: pd.DataFrame, keys: KeyParams) -> pd.Series:
    """Return the context of every cell, with its time; `ONE_CONTEXT` if no column is named.

    Raises
    ------
    UserError
        ``context-missing``, ``context-incomplete``.
    """
    columns = [key for key in (keys.context_key, keys.time_key) if key is not None]
    if not columns:
        return pd.Series(ONE_CONTEXT, index=obs.index)
    found = [full_column(obs, key, "context") for key in columns]
    return found[0] if len(found) == 1 else found[0] + " at " + found[1]
