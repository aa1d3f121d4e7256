"""Stochastic self-consistent harmonic approximation."""
