"""VoxForge: sentences that volunteers recorded at home."""
