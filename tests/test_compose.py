"""Every YAML composes; every misspelling names the nearest known name; nothing outside of the configuration is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru import resources
from asr_ligru.compose import GROUPS, Launch, choices, compose, launch, run_folder_name
from asr_ligru.config import Config
from asr_ligru.errors import ConfigError
from asr_ligru.models.network import check_heads

EVERY_CHOICE = [f"{group}={name}" for group in GROUPS for name in choices(group)]


@pytest.mark.parametrize("override", EVERY_CHOICE)
def test_each_choice_composes_within_its_ranges(override: str) -> None:
    assert isinstance(compose([override]), Config)


@pytest.mark.parametrize("recipe", choices("recipe"))
@pytest.mark.parametrize(("cell", "name"), [("libru", "libru_arith"), ("gru", "gru")])
def test_each_recipe_takes_another_cell(recipe: str, cell: str, name: str) -> None:
    assert compose([f"recipe={recipe}", f"cell={cell}"]).cell.name == name


@pytest.mark.parametrize("recipe", choices("recipe"))
def test_each_recipe_has_heads_that_fit_its_smoke_run(recipe: str) -> None:
    config = compose([f"recipe={recipe}", "debug=smoke"])
    check_heads(config.cell, config.model)
    assert config.run_name == "smoke"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["cell=ligur"], ["'ligur'", "did you mean 'ligru'"]),
        (["recipe=an4_ct"], ["did you mean 'an4_ctc'"]),
        (["train.lrr=1"], ["'train.lrr'", "did you mean 'lr'"]),
        (["sed=1"], ["did you mean 'seed'"]),
        (["train.lr=fast"], ["train.lr", "expected float"]),
        (["train.epochs=0"], ["train.epochs", "from 1"]),
        (["seed"], ["key=value"]),
        (["cell=../../x"], ["a-z, 0-9 and _"]),
        (["cell=/etc/passwd"], ["a-z, 0-9 and _"]),
        (["hydra.run.dir=/etc"], ["cannot be set"]),
        (["hydra/job_logging=stdout"], ["cannot be set"]),
        (["+train.foo=1"], ["'train.foo'"]),
        (["seed.x=1"], ["no keys below"]),
    ],
)
def test_compose_with_a_mistake_says_what_is_known(overrides: list[str], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(overrides)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("resolver", ["oc.env:PLANTED", "oc.decode:1", "oc.create:[1]", "now:%Y", "hydra:run.dir"])
def test_compose_with_a_resolver_refuses_and_shows_no_secret(resolver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "secret-value")
    with pytest.raises(ConfigError) as caught:
        compose([f"run_name=${{{resolver}}}"])
    assert "secret-value" not in str(caught.value)


def test_command_line_choice_beats_the_recipes(tmp_path: Path) -> None:
    assert compose(["recipe=an4_ctc_ligru", "cell=gru"]).cell.name == "gru"


def test_run_folder_names_what_differs_and_only_that() -> None:
    chosen = {"cell": "ligru", "features": "fbank40", "tokens": "char"}
    name = run_folder_name(chosen, ["recipe=x", "train.lr=0.1", "cell.dropout=0.3", "train.threads=1"], seed=2)
    assert name == "ligru-fbank40-char-cell.dropout=0.3-train.lr=0.1-seed2"
    assert "/" not in run_folder_name(chosen, ["run_name=../../x", "corpus.name=../y"], seed=1)


def test_launch_sweeps_over_every_combination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[Launch] = []
    launch(
        [
            "-m",
            "recipe=demo_ctc",
            "cell=ligru,gru",
            "seed=1,2",
        ],
        seen.append,
    )
    assert [(run.config.cell.name, run.config.seed) for run in seen] == [
        ("ligru", 1), ("ligru", 2), ("gru", 1), ("gru", 2),
    ]  # fmt: skip
    assert len({run.config.exp_dir for run in seen}) == 4


def test_launch_with_a_wrong_cell_in_a_sweep_runs_nothing() -> None:
    seen: list[Launch] = []
    with pytest.raises(ConfigError, match="ligru2"):
        launch(["-m", "cell=ligru,ligru2"], seen.append)
    assert not seen


def test_launch_takes_recipes_from_a_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe").mkdir()
    text = (resources.folder("conf") / "recipe" / "an4_ctc.yaml").read_text(encoding="utf-8")
    mine = text.replace("run_name: an4_ctc", "run_name: mine")
    (tmp_path / "recipe" / "mine.yaml").write_text(mine, encoding="utf-8")
    seen: list[Launch] = []
    launch([f"--config-dir={tmp_path}", "recipe=mine"], seen.append)
    assert seen[0].config.run_name == "mine"
