"""A worker process of an embedding job: `torchrun … -m sc_mamba2.tasks.embedding.worker JOB`."""

import sys

from sc_mamba2.tasks.embedding.job import EmbedJob
from sc_mamba2.tasks.shared.block_job import work

if __name__ == "__main__":
    sys.exit(work(EmbedJob, sys.argv[1:]))
