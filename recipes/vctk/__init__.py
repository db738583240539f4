"""VCTK: 110 speakers of English with many accents."""
