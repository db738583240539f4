"""A picture of error rates over two weights (extra ``viz``)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from asr_ligru.errors import EnvironmentError_

Surface = Mapping[tuple[float, float], float]  # (x, y) -> error rate, percent


def draw_surfaces(surfaces: Mapping[str, Surface], x_name: str, y_name: str) -> bytes:
    """Draw a panel for each surface, all in the same colours; a ring marks the least of each.

    Args:
        surfaces: title -> values on a full grid.
        x_name: what the first coordinate is.
        y_name: what the second one is.

    Returns:
        A PNG file.

    Raises:
        EnvironmentError_: the extra ``viz`` is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EnvironmentError_("a plot needs matplotlib", fix='pip install "asr-ligru[viz]"') from error
    values = [value for surface in surfaces.values() for value in surface.values()]
    figure = Figure(figsize=(1.5 + 4.5 * len(surfaces), 4.2), layout="constrained")
    panels = figure.subplots(1, len(surfaces), squeeze=False)[0]
    image: Any = None  # the last panel; all have the same colours
    for axes, (title, surface) in zip(panels, surfaces.items(), strict=True):
        xs, ys = (sorted({point[axis] for point in surface}) for axis in (0, 1))
        rates = [[surface[x, y] for x in xs] for y in ys]
        image = axes.imshow(rates, origin="lower", aspect="auto", cmap="viridis_r", vmin=min(values), vmax=max(values))
        axes.set(title=title, xlabel=x_name, ylabel=y_name, xticks=range(len(xs)), yticks=range(len(ys)))
        axes.set_xticklabels([f"{x:g}" for x in xs])
        axes.set_yticklabels([f"{y:g}" for y in ys])
        best = min(surface, key=lambda point: surface[point])
        axes.plot(xs.index(best[0]), ys.index(best[1]), "o", markersize=14, markerfacecolor="none", color="red")
        for point, rate in surface.items():
            axes.text(xs.index(point[0]), ys.index(point[1]), f"{rate:.1f}", ha="center", va="center", fontsize=7)
    figure.colorbar(image, ax=list(panels), label="WER %")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()
