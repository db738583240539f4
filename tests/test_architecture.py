"""The rules of the house as tests. The tables at the top are the rules; docs/decisions says why."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A module imports from its own level or from those below. The longest matching name counts.
LEVELS = {
    0: ("", "errors", "safety", "typing", "registry", "config", "resources", "torchaudio_import", "conf", "ranks"),
    1: ("ops",),
    2: ("nn", "features", "text", "data"),
    3: ("models", "hmm", "lm", "decode", "score.wer", "score.bootstrap"),
    4: (
        "train",
        "lm.train",
        "decode.run",
        "decode.batches",
        "decode.transcribe",
        "decode.inputs",
        "decode.outputs",
        "decode.files",
        "decode.recognizer",
        "decode.streaming",
        "export",
        "decode.trials",
        "decode.tune",
        "score",
    ),
    5: ("cli", "serve", "__main__", "compose", "user_conf", "doctor", "recipes", "integrations"),
}

# The only places that import a third party: a module, or a package and all below it. torch and numpy are free.
HOMES = {
    "av": ("data.audio_file",),
    "espeakng_loader": ("recipes.demo",),
    "fsspec": ("data.shard_store",),
    "hydra": ("compose",),
    "jiwer": ("score.wer",),
    "kaldi_decoder": ("decode.wfst",),
    "kaldifst": ("decode.wfst",),
    "kaldiio": ("data.kaldi_io",),
    "kaldilm": ("decode.wfst",),
    "kenlm": ("decode.beam",),
    "lhotse": ("integrations",),
    "matplotlib": ("score.surface",),
    "onnx": ("export",),
    "onnxruntime": ("export",),
    "omegaconf": ("compose", "user_conf"),
    "pyroomacoustics": ("features.rooms",),
    "safetensors": ("models.tensors",),
    "scipy": ("recipes.demo",),
    "sentencepiece": ("text.tokenizer",),
    "soundfile": ("data.audio", "data.audio_file", "data.codec", "doctor"),  # doctor: which codecs it reads
    "speechbrain": ("train.brain", "decode.beam", "features.augment", "integrations"),
    "starlette": ("serve",),
    "subprocess": ("text.lmplz",),  # decision 0013
    "torchaudio": ("features", "data.resample"),
    "tqdm": ("train.progress", "data.download", "cli", "recipes"),
    "triton": ("ops",),
    "uvicorn": ("serve",),
}
FREE = {"torch", "numpy", "asr_ligru"}
BANNED = {
    "pickle",
    "cPickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "pty",
    "yaml",
    "hyperpyyaml",
    "requests",
}

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 80  # without the docstring
MAX_RECIPE_LINES = 40
MAX_README_LINES = 200
MAX_DUPLICATION = 0.02  # share of code lines that stand, six in a row, in another file too
WINDOW = 6

OTHER_TEST_FOLDERS = {"recipes", "e2e", "faults", "tools"}
TEXT_SUFFIXES = {".py", ".yaml", ".md", ".toml", ".c", ".cff", ""}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file: its name inside the package ("data.audio", "" for the package itself), path and tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def where(self) -> str:
        return str(self.path.relative_to(ROOT))


def read(folder: str, prefix: str = "") -> list[Source]:
    """Read all Python files below a folder of the checkout."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = [prefix, *path.relative_to(ROOT / folder).with_suffix("").parts]
        name = ".".join(p for p in parts if p and p != "__init__")
        found.append(Source(name, path, ast.parse(path.read_text(encoding="utf-8"))))
    return found


PACKAGE = [*read("asr_ligru"), *read("recipes", "recipes")]
TESTS = read("tests")
MODULES = {source.name: source for source in PACKAGE}


def below(name: str, homes: tuple[str, ...]) -> bool:
    return any(name == home or name.startswith(f"{home}.") for home in homes)


def level(name: str) -> int:
    """Return the level of the longest entry of LEVELS that ``name`` is or lies below."""
    matches = [(len(entry), n) for n, entries in LEVELS.items() for entry in entries if entry and below(name, (entry,))]
    if not name:
        return 0
    assert matches, f"asr_ligru.{name} is in no level: add it to LEVELS"
    return max(matches)[1]


def absolute_imports(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    """Yield (statement, dotted name) of each import, also of those inside functions; relative ones made absolute."""
    package = source.name if source.path.name == "__init__.py" else source.name.rpartition(".")[0]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = ["asr_ligru", *(package.split(".") if package else [])]
                base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            yield from ((node, f"{base}.{alias.name}") for alias in node.names)


def own_imports(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    """Yield (statement, module inside the package) of each import of this package."""
    for node, name in absolute_imports(source):
        if name.split(".")[0] == "asr_ligru":
            inner = name.partition(".")[2]
            yield node, inner if inner in MODULES else inner.rpartition(".")[0]


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def code_lines(node: Function) -> int:
    """Count the lines of a function without its decorators and docstring."""
    first = node.body[0]
    docstring = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(node, clean=False) else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


def check_none(findings: Iterable[str]) -> None:
    found = list(findings)
    assert not found, "\n".join(found)


def test_imports_direction_is_downward() -> None:
    check_none(
        f"{source.where}:{node.lineno}: level {level(source.name)} imports asr_ligru.{name} of level {level(name)}"
        for source in PACKAGE
        for node, name in own_imports(source)
        if source.name and level(name) > level(source.name)  # the package itself offers names when they are asked for
    )


def test_imports_of_modules_form_no_cycle() -> None:
    # Only what runs when a module is loaded: not inside functions, not under TYPE_CHECKING.
    graph = {
        source.name: {name for node, name in own_imports(source) if node in source.tree.body and name != source.name}
        for source in PACKAGE
    }
    while free := [name for name, targets in graph.items() if not targets & graph.keys()]:
        for name in free:
            del graph[name]
    assert not graph, f"these modules import each other in a circle, or one that does: {sorted(graph)}"


def test_imports_third_parties_only_in_their_home() -> None:
    anywhere = FREE | sys.stdlib_module_names - HOMES.keys()
    wrong = []
    for source in PACKAGE:
        for node, dotted in absolute_imports(source):
            top = dotted.split(".")[0]
            if top in BANNED:
                wrong.append(f"{source.where}:{node.lineno}: {top} is never imported")
            elif top not in anywhere and not below(source.name, HOMES.get(top, ())):
                homes = ", ".join(HOMES.get(top, ())) or "none; add one to HOMES"
                wrong.append(f"{source.where}:{node.lineno}: {top} is imported outside its home ({homes})")
    check_none(wrong)


@pytest.mark.parametrize("module", ["asr_ligru", "asr_ligru.resources", "asr_ligru.config", "asr_ligru.errors"])
def test_import_light_module_loads_no_third_party(module: str) -> None:
    code = f"import {module}, sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert not set(done.stdout.split()) & ({*HOMES, *FREE} - {"asr_ligru", "subprocess"})


def test_files_length_is_bounded() -> None:
    files = (*PACKAGE, *TESTS, *read("tools"))
    lengths = {source.where: len(source.path.read_text(encoding="utf-8").splitlines()) for source in files}
    check_none(f"{where}: {n} lines" for where, n in lengths.items() if n > MAX_FILE_LINES)


def test_functions_length_is_bounded() -> None:
    lengths = {f"{s.where}:{f.lineno} {f.name}": code_lines(f) for s in (*PACKAGE, *TESTS) for f in functions(s.tree)}
    check_none(f"{where}: {n} lines" for where, n in lengths.items() if n > MAX_FUNCTION_LINES)


def test_files_names_say_what_is_inside() -> None:
    vague = {"utils", "util", "helpers", "helper", "misc", "common"}
    check_none(s.where for s in (*PACKAGE, *TESTS) if vague & set(s.name.split(".")))


def public_without_docstring(source: Source) -> Iterator[str]:
    """Yield the module, its public classes and functions, and their public methods, that have no docstring."""
    if not ast.get_docstring(source.tree):
        yield f"{source.where}: the module"
    for node in source.tree.body:
        if isinstance(node, (Function, ast.ClassDef)) and not node.name.startswith("_"):
            members = [m for m in node.body if isinstance(m, Function)] if isinstance(node, ast.ClassDef) else []
            for item in (node, *members):
                if not item.name.startswith("_") and not ast.get_docstring(item):
                    yield f"{source.where}:{item.lineno} {item.name}"


def test_public_things_have_docstrings() -> None:
    check_none(where for source in PACKAGE for where in public_without_docstring(source))


def windows(source: Source) -> list[tuple[str, ...]]:
    """Return each six code lines in a row of a file, without imports, comments and lone brackets."""
    lines = [line.strip() for line in source.path.read_text(encoding="utf-8").splitlines()]
    code = [line for line in lines if len(line) > 1 and not line.startswith(("#", "import ", "from "))]
    return [tuple(code[i : i + WINDOW]) for i in range(len(code) - WINDOW + 1)]


def test_package_duplication_is_low() -> None:
    of_file = {source.where: windows(source) for source in PACKAGE}
    files = Counter(window for found in of_file.values() for window in set(found))
    repeated = {
        where: len({i + k for i, window in enumerate(found) if files[window] > 1 for k in range(WINDOW)})
        for where, found in of_file.items()
    }
    total = sum(len(found) for found in of_file.values())
    assert sum(repeated.values()) <= MAX_DUPLICATION * total, {where: n for where, n in repeated.items() if n}


@pytest.mark.parametrize("path", sorted((ROOT / "conf").rglob("*.yaml")), ids=lambda path: path.stem)
def test_yaml_names_no_code_and_recipes_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"_target_|!!python|\$\{oc\.", text)
    if path.parent.name == "recipe":
        assert len(text.splitlines()) <= MAX_RECIPE_LINES


def test_readme_length_is_bounded() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MAX_README_LINES


def can_fail(test: Function) -> bool:
    """Say whether a test has a real assert, an expected exception or a call of a check_* or assert_* function."""
    for node in ast.walk(test):
        if isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant):
            return True
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called == "raises" or re.match(r"(check|assert|gradcheck)", called):
                return True
    return False


def test_tests_can_fail_and_say_what_they_test() -> None:
    tests = [(s.where, f) for s in TESTS for f in functions(s.tree) if f.name.startswith("test_")]
    check_none(f"{where}:{f.lineno} {f.name}" for where, f in tests if not can_fail(f))
    check_none(f"{where}:{f.lineno} {f.name}" for where, f in tests if len(f.name.split("_")) < 4)


def test_tests_mirror_the_package() -> None:
    areas = {path.name for path in (ROOT / "asr_ligru").iterdir() if path.is_dir()} | OTHER_TEST_FOLDERS
    folders = {path.parent.relative_to(ROOT / "tests").parts[:1] for path in (ROOT / "tests").rglob("test_*.py")}
    assert {parts[0] for parts in folders if parts} <= areas


def test_texts_name_no_folder_of_one_machine() -> None:
    folders = ("asr_ligru", "conf", "recipes", "tests", "tools", "docs", ".ci")
    paths = [*ROOT.glob("*"), *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    texts = [path for path in paths if path.is_file() and path.suffix in TEXT_SUFFIXES and path.name != ".git"]
    check_none(str(path) for path in texts if "/" + "work/" in path.read_text(encoding="utf-8", errors="replace"))
