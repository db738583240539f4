"""Every recipe trains, decodes and scores with every cell of the papers, on a fake of its corpus."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_ligru.compose import compose
from asr_ligru.data.prepare import prepare_corpus
from asr_ligru.train.run import train
from tests.recipes.fakes import FAKES

CORPORA = ("an4", "fsdd", "yesno", "mini_librispeech", "librispeech_100", "librispeech_960", "timit", "common_voice")
CELLS = ("ligru", "sligru", "libru", "gru", "lstm")
RECIPES = [f"{corpus}_{model}" for corpus in CORPORA for model in ("ctc", "hybrid")]
ROUND = list(zip(RECIPES, itertools.cycle(CELLS)))  # each recipe with one cell, in turn
Folder = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Return a function that prepares the fake of a recipe's corpus, once, and returns its folder."""
    top = tmp_path_factory.mktemp("smoke")

    def folder(recipe: str) -> Path:
        corpus = recipe.rpartition("_")[0]
        name, _, hours = corpus.partition("_") if corpus.startswith("librispeech") else (corpus, "", "")
        out = top / "data" / name
        if not out.exists():
            FAKES[name](top / name)
            prepare_corpus(name, top / name, out)
        return out / hours

    return folder


def check_smoke(recipe: str, cell: str, folder: Path, exp_dir: Path) -> None:
    """Train a recipe with a cell and look at what it leaves."""
    overrides = [f"recipe={recipe}", f"cell={cell}", "debug=smoke", "train.progress=false", "train.threads=1"]
    config = compose([*overrides, f"corpus.dir={folder}", f"exp_dir={exp_dir}"])
    train(config)
    run, wer = (json.loads((exp_dir / f"{name}.json").read_text(encoding="utf-8")) for name in ("run", "wer"))
    assert (run["status"], run["cell"], run["left_out"]) == ("done", compose([f"cell={cell}"]).cell.name, 0)
    assert wer["words"]["ref"] > 0
    assert wer["profile"] == config.corpus.scoring


@pytest.mark.parametrize(("recipe", "cell"), ROUND)
def test_recipe_with_a_cell_runs_on_a_fake(recipe: str, cell: str, folder_of: Folder, tmp_path: Path) -> None:
    check_smoke(recipe, cell, folder_of(recipe), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("cell", CELLS)
def test_recipe_with_each_cell_runs_on_a_fake(recipe: str, cell: str, folder_of: Folder, tmp_path: Path) -> None:
    check_smoke(recipe, cell, folder_of(recipe), tmp_path)


def test_recipes_named_by_their_cell_are_there() -> None:
    composed = {cell: compose([f"recipe=an4_ctc_{cell}"]).cell for cell in CELLS}
    assert {cell: made.name.removesuffix("_arith") for cell, made in composed.items()} == {cell: cell for cell in CELLS}
    assert {made.hidden_size for made in composed.values()} == {256}


def test_timit_is_trained_on_48_phones_and_scored_as_39(folder_of: Folder, tmp_path: Path) -> None:
    check_smoke("timit_ctc", "ligru", folder_of("timit_ctc"), tmp_path)
    tokens = json.loads((tmp_path / "model" / "tokenizer.json").read_text(encoding="utf-8"))["tokens"]
    assert {"sil", "cl", "vcl", "ix", "ax"} <= set(tokens)
    assert json.loads((tmp_path / "wer.json").read_text(encoding="utf-8"))["profile"] == "timit39"
    (hyp,) = (tmp_path / "hyp.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(hyp)["ref"] == "sil uw vcl jh ax sil"
