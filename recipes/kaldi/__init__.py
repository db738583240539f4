"""Any corpus in the layout of Kaldi's ``data/`` folder."""
