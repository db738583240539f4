"""GMM-HMMs without Kaldi: mixtures, topology, training, alignment and trees."""
