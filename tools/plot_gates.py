"""Draw what the gates of trained cells do on one utterance: each unit of a layer's forward direction over time.

    python tools/plot_gates.py MANIFEST UTT_ID RUN... --out docs/figures/gates.png

A gate's values are those of the sigmoids in the cell's reference, in the order it takes them. Units stand in the order
of their mean. Of a cell without gates the probability p that it computes is drawn. Needs the extra ``viz``.
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib import pyplot as plt
from PIL import Image
from torch import Tensor
from torch.overrides import TorchFunctionMode

from asr_ligru.data import audio
from asr_ligru.data.manifest import read_manifest
from asr_ligru.models.load import LoadedModel, load_model
from asr_ligru.nn.recurrent import RecurrentLayer
from asr_ligru.ops.packing import Packing

# What the reference of a cell takes the sigmoid of at each frame; "" is no gate.
SIGMOIDS = {
    "lstm_bn": ("i", "f", "o"),
    "lstm_peephole": ("i", "f", "o"),
    "gru_bn": ("r", "z"),
    "gru_reset_before": ("r", "z"),
    "gru1": ("r", "z"),
    "gru2": ("r", "z"),
    "gru3": ("r", "z"),
    "mgu": ("f",),
    "mgru": ("z",),
    "ligru": ("z",),
    "sligru": ("z",),
    "libru_arith": ("", "z", ""),
    "libru_harm": ("", "z", ""),
    "libru_geo": ("z", ""),
}
COLUMNS, COLOURS = 3, 40


class _Sigmoids(TorchFunctionMode):
    """Keeps what comes out of every sigmoid, also of those taken the logarithm of at once."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func is torch.sigmoid:
            self.values.append(out)
        elif func is torch.nn.functional.logsigmoid:
            self.values.append(out.exp())
        return out


@torch.no_grad()
def gates(layer: RecurrentLayer, rows: Tensor) -> dict[str, Tensor]:
    """Return what each gate of the forward direction does, (T, H), or p where the cell has none.

    Args:
        layer: of a trained network, in evaluation mode.
        rows: (T, F) its input.
    """
    packing = Packing(torch.tensor([len(rows)]), len(rows), layer.directions)
    layer.backend = "reference"
    names = SIGMOIDS.get(layer.cell)
    if names is None:
        layer.output = layer.outputs["probability"]
        return {"no gate: p": layer(rows, packing)[0][:, : layer.hidden_size]}
    with _Sigmoids() as seen:
        layer(rows, packing)
    values = [x.flatten(0, -2)[0] for x in seen.values]  # forward direction, first sequence
    if len(values) == 1:  # constant gates, all in one
        values = [*values[0].chunk(len(names))] * len(rows)
    table = torch.stack(values).view(len(rows), len(names), -1)
    return {name: table[:, place] for place, name in enumerate(names) if name}


def inputs_of(model: LoadedModel, layer: RecurrentLayer, feats: Tensor) -> tuple[Tensor, list[str]]:
    """Return what ``layer`` sees (T, F) of one utterance, and a character for each frame, "" where there is none."""
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    log_probs, _ = model.log_probs([feats])
    hook.remove()
    best = log_probs[0].argmax(dim=-1).tolist()
    new = (token if token != before else 0 for before, token in zip([0, *best], best, strict=False))
    return seen[0].clone(), [model.tokenizer.decode([token]) if token else "" for token in new]


def panels_of(run: Path, wav: Tensor, speaker: str, index: int) -> tuple[list[tuple[str, Tensor]], list[str]]:
    """Return titles and values (T, H) of the gates of one run's layer, and the characters it hears."""
    model = load_model(run)
    layer = model.network.encoder.layers[index]
    rows, heard = inputs_of(model, layer, model.feats(wav, speaker))
    return [(f"{layer.cell}: {name}", values) for name, values in gates(layer, rows).items()], heard


def draw(
    panels: list[tuple[str, Tensor]], log_mel: Tensor, heard: list[str], title: str, seconds: float
) -> matplotlib.figure.Figure:
    """Return the figure: the features with what was heard on top, then a panel for each gate."""
    rows = math.ceil(len(panels) / COLUMNS)
    extent = (0, seconds, 0, 1)
    figure = plt.figure(figsize=(10, 1.7 + 0.95 * rows), layout="constrained")
    grid = figure.add_gridspec(rows + 1, COLUMNS, height_ratios=[1.6, *[1.0] * rows])
    top = figure.add_subplot(grid[0, :], yticks=[])
    top.set_title(title, pad=14)
    top.imshow(log_mel.T, origin="lower", aspect="auto", cmap="Greys", extent=extent)
    for place, character in enumerate(heard):
        top.text((place + 0.5) / len(heard) * seconds, 1.03, character, ha="center")
    for place, (name, values) in enumerate(panels):
        axes = figure.add_subplot(grid[1 + place // COLUMNS, place % COLUMNS], title=name, yticks=[])
        units = values[:, values.mean(dim=0).argsort(descending=True)].T
        image = axes.imshow(units, aspect="auto", vmin=0, vmax=1, cmap="viridis", extent=extent)
        axes.tick_params(labelbottom=place >= len(panels) - COLUMNS)
    figure.colorbar(image, ax=figure.axes[1:], shrink=0.3, aspect=30)
    return figure


def save(figure: matplotlib.figure.Figure, path: Path, dpi: int) -> None:
    """Write a PNG of few colours, a third as large as one of all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi)
    picture = Image.open(buffer).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("utt_id")
    parser.add_argument("run", type=Path, nargs="+", help="run folders of models with the same frame rate")
    parser.add_argument("--layer", type=int, default=0, help="0 is the lowest, -1 the highest")
    parser.add_argument("--dpi", type=int, default=80)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    (utterance,) = (u for u in read_manifest(args.manifest) if u.utt_id == args.utt_id)
    model = load_model(args.run[0])
    wav = audio.read(
        utterance.audio_path,
        offset_s=utterance.offset_s,
        duration_s=utterance.duration_s,
        sample_rate_hz=model.config.features.sample_rate_hz,
    )
    results = [panels_of(run, wav, utterance.speaker, args.layer) for run in args.run]
    panels = [panel for found, _ in results for panel in found]
    title = f"{utterance.utt_id}: {utterance.text}"
    figure = draw(panels, model.frontend.extract(wav), results[0][1], title, utterance.duration_s)
    save(figure, args.out, args.dpi)


if __name__ == "__main__":
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"font.size": 8, "axes.titlesize": 8, "axes.titlepad": 3, "xtick.labelsize": 6})
    main()
