"""The package runs nothing it reads: no pickle, no evaluation, no shell, no predictable temporary names.

One module starts one program, lmplz (decision 0013): with a list of arguments, never through a shell.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for folder in ("asr_ligru", "recipes", "conf") for path in (ROOT / folder).rglob("*.py"))

MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "subprocess",
    "pty",
    "runpy",
    "code",
}
STARTS_LMPLZ = ROOT / "asr_ligru" / "text" / "lmplz.py"
BUILTINS = {"eval", "exec", "compile", "__import__", "breakpoint"}
CALLS = {
    "torch.load", "torch.save", "torch.hub.load", "torch.package.PackageImporter", "torch.jit.load",
    "yaml.load", "yaml.unsafe_load", "yaml.full_load", "hydra.utils.instantiate",
    "os.system", "os.popen", "os.startfile", "tempfile.mktemp", "shutil.unpack_archive",
}  # fmt: skip
PREFIXES = ("os.exec", "os.spawn", "os.posix_spawn")
METHODS = {"extractall", "load_state_dict_from_url"}  # of any object
TEMPORARY = ("/" + "tmp", "/var/" + "tmp")


def names(tree: ast.AST) -> dict[str, str]:
    """Return what each imported name stands for, with dots."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                found |= {alias.asname: alias.name} if alias.asname else {top: top}
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def dotted(node: ast.expr, imported: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value, imported)}.{node.attr}"
    return imported.get(node.id, node.id) if isinstance(node, ast.Name) else "?"


def findings(source: str) -> Iterator[str]:
    """Yield what is unsafe in a module's source."""
    tree = ast.parse(source)
    imported = names(tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from (f"import {name}" for name in modules if name.split(".")[0] in MODULES)
        elif isinstance(node, (ast.Attribute, ast.Name)):
            name = dotted(node, imported)
            if name in CALLS or name in BUILTINS or name.startswith(PREFIXES) or name.split(".")[-1] in METHODS:
                yield name
        elif isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "shell"):
            if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                yield f"{node.arg}="
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(TEMPORARY):
            yield f"a fixed temporary name {node.value!r}"


def test_files_of_the_package_are_found() -> None:
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_package_source_has_no_unsafe_call(path: Path) -> None:
    allowed = ["import subprocess"] if path == STARTS_LMPLZ else []
    assert list(findings(path.read_text(encoding="utf-8"))) == allowed


def test_lmplz_is_started_once_by_a_list_of_arguments() -> None:
    tree = ast.parse(STARTS_LMPLZ.read_text(encoding="utf-8"))
    used = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and dotted(n, {}).startswith("subprocess.")]
    assert sorted(node.attr for node in used) == ["PIPE", "run"]
    (call,) = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and dotted(n.func, {}) == "subprocess.run"]
    (command,) = [
        n.value for n in ast.walk(tree) if isinstance(n, ast.Assign) and dotted(n.targets[0], {}) == "command"
    ]
    assert dotted(call.args[0], {}) == "command"
    assert isinstance(command, ast.List)
    assert dotted(command.elts[0], {}) == "program"


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load('x')",
        "import torch as t\nt.load('x')",
        "from torch import load\nload('x')",
        "from torch import load as innocent\ninnocent('x')",
        "import torch\nf = torch.load",
        "import pickle",
        "from pickle import loads",
        "import joblib.numpy_pickle",
        "import subprocess",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy as np\nnp.load('x', allow_pickle=flag)",
        "import yaml\nyaml.load('x')",
        "eval('1')",
        "exec('1')",
        "__import__('os')",
        "from os import system\nsystem('x')",
        "import os\nos.execvp('x', [])",
        "import tempfile\ntempfile.mktemp()",
        "run(shell=True)",
        "archive.extractall('x')",
        f"open('{TEMPORARY[0]}/x')",
    ],
)
def test_findings_planted_unsafe_call_is_found(source: str) -> None:
    assert list(findings(source))


def test_findings_harmless_look_alikes_are_not_reported() -> None:
    lines = ("import re, json, torch", "re.compile('x')", "json.load(f)", "torch.compile(m)", "model.eval()")
    more = ("Tokenizer.load(d)", "np.load('x', allow_pickle=False)", "run(shell=False)", "open('tmp/x')")
    source = "\n".join((*lines, *more))
    assert list(findings(source)) == []
