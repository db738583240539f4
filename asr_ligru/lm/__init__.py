"""Neural language models over characters or BPE: trained, measured, sampled, and asked about texts."""
