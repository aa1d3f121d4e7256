"""The embedded potential: Chebyshev descriptors, attention network, training, evaluation, uncertainty."""
