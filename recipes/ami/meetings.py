"""Which of AMI's meetings are for development and testing: the full-corpus-ASR partition of its makers."""

from __future__ import annotations

# https://groups.inf.ed.ac.uk/ami/corpus/datasets.shtml, by the beginnings of the meetings' names.
DEV = ("ES2011", "IS1008", "TS3004", "IB4001", "IB4002", "IB4003", "IB4004", "IB4010", "IB4011")
TEST = ("ES2004", "IS1009", "TS3003", "EN2002")
LEFT_OUT = ("IB4005",)  # in no part of the partition


def split_of(meeting: str) -> str:
    """Return the part that a meeting such as ``ES2002a`` belongs to, or nothing."""
    if meeting.startswith(LEFT_OUT):
        return ""
    return "dev" if meeting.startswith(DEV) else "test" if meeting.startswith(TEST) else "train"
