"""TIMIT: phonetically transcribed sentences by 630 Americans."""
