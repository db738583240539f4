"""All arrays of Kaldi's alignments; the phones' names, the only texts among them, are what ``test_align`` compares."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from kaldi_arrays import FLOAT, KaldiArrays
from torch import Tensor

from asr_ligru.hmm.align import Aligner
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.model import AcousticModel
from asr_ligru.hmm.topology import PAUSES

TOLERANCE = {"transition_ids|/pdfs$": 0.0, "": FLOAT["statistics"]}
MODEL = ("weights", "means_invvars", "inv_vars", "gauss_to_pdf", "transition_table", "transition_logprob")


def transition_ids(pdfs: Tensor, alignment: Alignment, table: Tensor) -> Tensor:
    """Return Kaldi's number of the arc of each frame: a state's first frame has that of the arc out of it."""
    stays = torch.zeros(len(pdfs), dtype=torch.bool)
    places = torch.stack([alignment.positions, alignment.states])
    stays[1:] = (places[:, 1:] == places[:, :-1]).all(0)
    arc_of = {(pdf, bool(loops)): number for number, _, _, pdf, loops in table.tolist()}
    return torch.tensor([arc_of[pair] for pair in zip(pdfs.tolist(), stays.tolist(), strict=True)])


def test_align_every_array_equals_kaldi(
    shared: Path, kaldi_model: AcousticModel, kaldi_alignments: dict[str, Any]
) -> None:
    arrays = KaldiArrays(shared, "hmm_align.npz")
    arrays.taken |= set(MODEL)  # ``kaldi_model`` was made from them
    names = sorted({name.split("/")[1] for name in arrays.names if name.startswith("utt/")})
    phones = list(kaldi_model.topology.phones)
    spoken = [tuple(phones.index(str(p)) for p in kaldi_alignments[f"utt/{n}/phones_without_silence"]) for n in names]
    feats = [arrays[f"utt/{name}/feats"] for name in names]
    found = Aligner([[[word]] for word in spoken], kaldi_model.tree, [len(f) for f in feats]).align(kaldi_model, feats)
    got = {"lexicon_cost_optional_silence": torch.tensor(-math.log(PAUSES.between))}
    for name, x, alignment in zip(names, feats, found, strict=True):
        assert alignment is not None
        pdfs = alignment.pdfs(kaldi_model.tree)
        got[f"utt/{name}/pdfs"] = pdfs
        got[f"utt/{name}/score"] = torch.tensor(alignment.score)
        got[f"utt/{name}/acoustic_loglike"] = kaldi_model.gmms.posteriors_within(x, pdfs).log_likes
        got[f"utt/{name}/transition_ids"] = transition_ids(pdfs, alignment, arrays["transition_table"])
    arrays.check_all(got, TOLERANCE, inputs=f"^({'|'.join(MODEL)})$|/feats$")
