"""Pure tensor functions: torch in, torch out; no modules, no files."""
