"""Tests of asr_ligru.cli."""
