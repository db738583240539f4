"""CHiME-4: sentences read in buses, cafés, streets and pedestrian areas."""
