"""How training would scale over GPUs, **simulated**: a small model of a step, nothing is measured.

    python benchmarks/scaling.py [--cells-a-gpu 256] [--share 0.3] [--network 25] ...

Prints Markdown for 1 to 64 GPUs. With n GPUs, m micro-batches a step and ring collectives:

- compute = 3 x FLOP a token x tokens a GPU / (peak x share). A backward counts as two forwards; the
  FLOP are those of the layers (`gpu_hour.merged_flop`), so decoders and embeddings are left out.
- ring(bytes) = (n - 1) / n x bytes / bandwidth + (n - 1) x latency, the time of one all-gather or
  reduce-scatter; an all-reduce is two. The bandwidth is that inside a node as long as one node
  holds all GPUs, else the network's of a node, which carries the ring's one stream.
- bytes = 4 a parameter: weights and gradients are float32. They come in two parts: the layers,
  and the rest, which is the gene embedding above all; it gets its gradient last.
- DDP exchanges gradients in the last micro-batch. The layers' exchange hides behind that backward:
  exposed = max(0, 2 ring(layers) - 2/3 compute / m) + 2 ring(rest).
- FSDP2 gathers each layer before its forward and again before its backward, the rest once, in every
  micro-batch, and scatters the gradients in the last:
  exposed = max(0, (2 m + 1) ring(layers) - compute) + (m + 1) ring(rest).
- efficiency = compute / (compute + exposed); state = 16 bytes a parameter (weight, gradient, two
  moments), over n with FSDP2.

The last table is of a whole corpus, from one measured rate of one GPU (forward and backward of `base`, H100):

- embedding = cells x tokens / (rate x forward x n x share of a process among many); with reading: and the
  one pass over the file that decides how it is read, by one core.
- an epoch = cells x tokens / (rate x n), and what DDP adds to a step at that rate.

Loading, start-up, stragglers, activations and kernels of small sizes are not in it: an upper bound.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from gpu_hour import merged_flop

from sc_mamba2.genes import load_vocabulary
from sc_mamba2.model import Backbone, preset

GPUS = (1, 2, 4, 8, 16, 32, 64)
BYTES, STATE_BYTES = 4, 16


@dataclass(frozen=True)
class Model:
    """A preset: parameters of its layers and of the rest, FLOP a token of one forward."""

    name: str
    layers: int
    rest: int
    flop: int

    @classmethod
    def of(cls, name: str) -> "Model":
        """Count a preset with the default vocabulary."""
        config = preset(name, load_vocabulary().size)
        backbone = Backbone(config)
        every = sum(part.numel() for part in backbone.parameters())
        layers = sum(part.numel() for part in backbone.layers.parameters())
        return cls(name, layers, every - layers, merged_flop(config))


@dataclass(frozen=True)
class Machine:
    """Assumed: FLOP, bytes and seconds; `gpus` a node."""

    flop_a_second: float
    inside: float
    network: float
    latency: float
    gpus: int

    def ring(self, size: float, n: int) -> float:
        """Return the seconds of one all-gather or reduce-scatter of `size` bytes over n GPUs."""
        bandwidth = self.inside if n <= self.gpus else self.network
        return (n - 1) / n * size / bandwidth + (n - 1) * self.latency


def compute(model: Model, machine: Machine, tokens: float) -> float:
    """Return the seconds of forward and backward over a GPU's tokens of a step."""
    return 3 * model.flop * tokens / machine.flop_a_second


def ddp(model: Model, machine: Machine, n: int, computed: float, micro: int) -> float:
    """Return the seconds of a step that DDP adds to the computing."""
    layers = 2 * machine.ring(BYTES * model.layers, n)
    return max(0.0, layers - 2 / 3 * computed / micro) + 2 * machine.ring(BYTES * model.rest, n)


def fsdp2(model: Model, machine: Machine, n: int, computed: float, micro: int) -> float:
    """Return the seconds of a step that FSDP2 adds to the computing."""
    layers = (2 * micro + 1) * machine.ring(BYTES * model.layers, n)
    return max(0.0, layers - computed) + (micro + 1) * machine.ring(BYTES * model.rest, n)


def rows(model: Model, machine: Machine, chosen: argparse.Namespace) -> list[str]:
    """Return a Markdown row for each number of GPUs."""
    tokens = chosen.cells_a_gpu * chosen.tokens_a_cell
    computed = compute(model, machine, tokens)
    lines = []
    for n in GPUS:
        cells = [model.name, str(n), f"{computed * 1e3:.0f}"]
        ways: tuple[tuple[Callable[..., float], int], ...] = ((ddp, 1), (fsdp2, n))
        for way, shards in ways:
            exposed = way(model, machine, n, computed, chosen.micro_batches)
            state = STATE_BYTES * (model.layers + model.rest) / shards / 2**20
            cells += [
                f"{exposed * 1e3:.1f}",
                f"{computed / (computed + exposed):.0%}",
                f"{n * tokens / (computed + exposed) / 1e6:,.1f}",
                f"{state:,.0f}",
            ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def hours(model: Model, machine: Machine, chosen: argparse.Namespace) -> list[str]:
    """Return a Markdown row for each number of GPUs: a whole corpus, from a measured rate of one GPU."""
    tokens, rate = chosen.cells * chosen.tokens_a_cell, chosen.rate * 1e6
    step = chosen.cells_a_gpu * chosen.tokens_a_cell / rate
    reading = chosen.cells / chosen.cells_a_core / 3600
    lines = []
    for n in GPUS:
        share = 1.0 if n == 1 else chosen.embedding_share
        embedding = tokens / (rate * chosen.forward * n * share) / 3600
        exposed = ddp(model, machine, n, step, chosen.micro_batches)
        training = tokens / (rate * n) * (step + exposed) / step / 3600
        cells = [model.name, str(n), f"{embedding:.1f}", f"{embedding + reading:.1f}"]
        cells += [f"{n * embedding * chosen.price:,.0f}", f"{training:.1f}"]
        lines.append(f"| {' | '.join([*cells, f'{n * training * chosen.price:,.0f}'])} |")
    return lines


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--presets", nargs="+", default=["small", "base"])
    parser.add_argument("--cells-a-gpu", type=int, default=256, help="cells of a step")
    parser.add_argument("--tokens-a-cell", type=float, default=1100)
    parser.add_argument("--micro-batches", type=int, default=4)
    parser.add_argument("--peak", type=float, default=989, help="TFLOP a second of a GPU, bf16")
    parser.add_argument("--share", type=float, default=0.3, help="assumed share of the peak")
    parser.add_argument("--inside", type=float, default=300, help="GB a second inside a node")
    parser.add_argument("--network", type=float, default=25, help="GB a second between nodes")
    parser.add_argument("--latency", type=float, default=10, help="microseconds a hop")
    parser.add_argument("--gpus-a-node", type=int, default=8)
    parser.add_argument("--cells", type=float, default=57e6, help="of the corpus")
    parser.add_argument("--measured", default="base", help="preset of the rate")
    parser.add_argument(
        "--rate", type=float, default=0.31, help="M tokens a second, measured, of one GPU"
    )
    parser.add_argument("--forward", type=float, default=3, help="times faster without gradients")
    parser.add_argument(
        "--embedding-share", type=float, default=0.9, help="of a process among many"
    )
    parser.add_argument(
        "--cells-a-core", type=float, default=3296, help="a second, read by one core"
    )
    parser.add_argument("--price", type=float, default=3, help="of an hour of a GPU")
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    chosen = _arguments()
    machine = Machine(
        chosen.peak * 1e12 * chosen.share,
        chosen.inside * 1e9,
        chosen.network * 1e9,
        chosen.latency * 1e-6,
        chosen.gpus_a_node,
    )
    print(f"Simulated, not measured: {vars(chosen)}\n")
    ways = " | ".join(
        f"{way}: ms added | efficiency | M tokens/s | state, MiB" for way in ("DDP", "FSDP2")
    )
    print(f"| preset | GPUs | compute, ms | {ways} |")
    print("|---" * 11 + "|")
    for name in chosen.presets:
        print("\n".join(rows(Model.of(name), machine, chosen)))
    print("\n| preset | GPUs | embedding, h | with reading, h | cost | an epoch, h | cost |")
    print("|---" * 7 + "|")
    print("\n".join(hours(Model.of(chosen.measured), machine, chosen)))


if __name__ == "__main__":
    main()
