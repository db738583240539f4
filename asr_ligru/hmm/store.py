"""Finished stages on disk: a folder each, complete or not there, that runs no code when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from asr_ligru.errors import DataError
from asr_ligru.hmm.alignment import Alignment, packed, unpacked
from asr_ligru.hmm.diag_gmm import DiagGmm
from asr_ligru.hmm.gmm_set import GmmSet
from asr_ligru.hmm.model import AcousticModel
from asr_ligru.hmm.stages import Trained
from asr_ligru.hmm.topology import PAUSES, Pauses, Topology
from asr_ligru.models.tensors import pack, unpack
from asr_ligru.safety import printable
from asr_ligru.safety.sealed import open_sealed, seal_folder

FORMAT = 1
_SEAL = "stage.json"
_MODEL = "model.safetensors"
_ALIGNMENTS = "alignments.safetensors"
_OPTIONAL = ("projection", "transforms", "basis")


def write_stage(folder: Path, trained: Trained, key: str) -> None:
    """Write a finished stage, replacing an older one.

    Args:
        folder: its place.
        trained: the stage.
        key: what it was made from.

    Raises:
        EnvironmentError_: disk full or not writable.
    """
    files = {_MODEL: pack(model_tensors(trained)), _ALIGNMENTS: pack(packed(trained.alignments))}
    head = {"key": key, "topology": topology_json(trained.model.topology), "log_like": trained.log_like}
    seal_folder(folder, files, seal=_SEAL, format=FORMAT, head=head)


def read_stage(folder: Path, key: str) -> Trained | None:
    """Read a stage that was made from ``key``; None where there is none, or one made from something else.

    Raises:
        DataError: it was altered, or written by a later version.
    """
    if not folder.is_dir():
        return None
    head = open_sealed(folder, seal=_SEAL, format=FORMAT)
    if head.get("key") != key:
        return None
    alignments = unpacked(unpack(folder / _ALIGNMENTS))
    return load_model(unpack(folder / _MODEL), topology_of(head["topology"]), alignments, float(head["log_like"]))


def model_tensors(trained: Trained) -> dict[str, Tensor]:
    """Return the tensors that ``load_model`` makes an equal stage from, without alignments."""
    tensors = {f"model.{name}": tensor for name, tensor in trained.model.tensors().items()}
    if trained.partner is not None:
        gauss = trained.partner.gauss
        tensors |= {"partner.weights": gauss.weights, "partner.means": gauss.means, "partner.inv_vars": gauss.inv_vars}
    return tensors | {name: value for name in _OPTIONAL if (value := getattr(trained, name)) is not None}


def load_model(
    tensors: Mapping[str, Tensor], topology: Topology, alignments: list[Alignment | None], log_like: float
) -> Trained:
    """Return the stage whose tensors these are.

    Raises:
        DataError: tensors are missing, or do not fit together.
    """
    try:
        model = AcousticModel.load(
            {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}, topology
        )
        partner = None
        if "partner.means" in tensors:
            gauss = DiagGmm(*(tensors[f"partner.{name}"] for name in ("weights", "means", "inv_vars")))
            partner = GmmSet(gauss, model.gmms.offsets)
        _check(model, partner)
    except (KeyError, IndexError, RuntimeError) as error:
        raise DataError(f"the tensors of a GMM-HMM do not fit together: {printable(str(error))}") from error
    optional = {name: tensors.get(name) for name in _OPTIONAL}
    return Trained(model, alignments, partner=partner, log_like=log_like, **optional)


def _check(model: AcousticModel, partner: GmmSet | None) -> None:
    fix = "use another copy, or train again"
    num_gauss, dim = int(model.gmms.offsets[-1]), model.gmms.gauss.dim
    for gauss in (model.gmms.gauss, *([] if partner is None else [partner.gauss])):
        shapes = [tuple(tensor.shape) for tensor in (gauss.weights, gauss.means, gauss.inv_vars)]
        if shapes != [(num_gauss,), (num_gauss, dim), (num_gauss, dim)]:
            raise DataError(f"{num_gauss} Gaussians of {dim} dimensions expected, got arrays of {shapes}", fix=fix)
    if not model.tree.num_pdfs == model.gmms.num_pdfs == len(model.transitions.stay):
        raise DataError("tree, mixtures and transitions of a GMM-HMM have other numbers of states", fix=fix)
    size = len(model.topology.phones)
    if model.tree.table.shape != (size, size, size, model.topology.max_states):
        raise DataError("the tree of a GMM-HMM has other phones", fix=fix)
    if not model.tree.complete:
        raise DataError("the tree of a GMM-HMM lacks states", fix=fix)


def topology_json(topology: Topology) -> dict[str, Any]:
    """Return the JSON values that ``topology_of`` makes an equal topology from."""
    return {
        "phones": list(topology.phones),
        "num_states": topology.num_states,
        "num_silence_states": topology.num_silence_states,
        "edge_silence": topology.pauses.edge,
        "inner_silence": topology.pauses.between,
    }


def topology_of(values: Mapping[str, Any]) -> Topology:
    """Return the topology of JSON values."""
    pauses = Pauses(float(values["edge_silence"]), float(values.get("inner_silence", PAUSES.between)))
    return Topology(tuple(values["phones"]), int(values["num_states"]), int(values["num_silence_states"]), pauses)
