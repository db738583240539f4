"""CMU AN4: people spell names and say dates, numbers and control words."""
