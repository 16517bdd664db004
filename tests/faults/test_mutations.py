"""Files with bytes flipped or cut off are read as they are, or refused by a rule: nothing else, in any case.

Each is read by a fork, which may hang or crash without harm; 1,000 by `--faults full`, 32 else.
"""

import os
import random
import shutil
import signal
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from tests.cli import invoke
from tests.tokens.conftest import expression, vocabulary  # noqa: F401

from sc_mamba2.cells import simulate_cells
from sc_mamba2.errors import UserError
from sc_mamba2.model import read_checkpoint
from sc_mamba2.model.folder import checkpoint_folder
from sc_mamba2.model.manifest import MANIFEST, write_manifest
from sc_mamba2.tokens import Tokenizer, TokenizerRules
from sc_mamba2.tokens.store import TokenStore, TokenStoreWriter

READ, REFUSED = 0, 2
SECONDS = 60


def make_h5ad(folder, request):
    simulate_cells(40, 120).write_h5ad(folder / "cells.h5ad")
    return folder / "cells.h5ad"


def make_zarr(folder, request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulate_cells(40, 120).write_zarr(folder / "cells.zarr")
    return folder / "cells.zarr"


def make_checkpoint(folder, request):
    return Path(shutil.copytree(checkpoint_folder("scm-tiny"), folder / "model"))


def make_store(folder, request):
    tokenizer = Tokenizer(request.getfixturevalue("vocabulary"), TokenizerRules(n_bins=11))
    tokens = tokenizer.tokenize(*request.getfixturevalue("expression"))
    with TokenStoreWriter(folder / "store", tokenizer) as writer:
        writer.add(tokens)
    return folder / "store"


def read_cells_file(path: Path, _: bool) -> int:
    return invoke("validate", path).exit_code


def read_folder(path: Path, honest: bool) -> int:
    """Read a checkpoint; without `honest` its manifest is of the damaged files."""
    try:
        if not honest:
            (path / MANIFEST).unlink(missing_ok=True)
            write_manifest(path)
        read_checkpoint(path).model_config()
    except UserError:
        return REFUSED
    return READ


def read_store(path: Path, honest: bool) -> int:
    try:
        store = TokenStore.open(path)
        if honest:  # then what was changed is found, whatever it is
            store.verify()
        store.take(np.arange(len(store)))
    except UserError:
        return REFUSED
    return READ


KINDS = {
    "h5ad": (make_h5ad, read_cells_file),
    "zarr": (make_zarr, read_cells_file),
    "checkpoint": (make_checkpoint, read_folder),
    "token store": (make_store, read_store),
}


def mutate(path: Path, chance: random.Random) -> str:
    """Damage one file in one of three ways, and say how."""
    files = sorted(one for one in [path, *path.rglob("*")] if one.is_file() and one.stat().st_size)
    file = chance.choice(files)
    content = bytearray(file.read_bytes())
    how = chance.choice(("cut", "flip", "many"))
    if how == "cut":
        del content[chance.randrange(len(content)) :]
    for _ in range({"cut": 0, "flip": 1, "many": 30}[how]):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)
    return f"{how} {file.name}"


def forked(read, path: Path, honest: bool) -> str:
    """Read in a fork; return what came of it."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(read(path, honest))
        except BaseException:
            os._exit(1)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return {READ: "read", REFUSED: "refused"}.get(code, f"ended with {code}")
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_or_refused(kind, tmp_path, request, full, record_property):
    make, read = KINDS[kind]
    good, chance = make(tmp_path, request), random.Random(kind)
    assert read(good, True) == READ  # here: what is imported need not be imported by every fork
    strange = []
    count = 250 if full else 8
    record_property("tries", count)
    for number in range(count):
        path = tmp_path / f"damaged{good.suffix}"
        shutil.copytree(good, path) if good.is_dir() else shutil.copy(good, path)
        how = mutate(path, chance)
        came = forked(read, path, bool(number % 2))
        promised = kind in ("checkpoint", "token store") and number % 2  # by hashes
        if came not in ("read", "refused")[bool(promised) :]:
            strange.append((number, how, came))
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert not strange
