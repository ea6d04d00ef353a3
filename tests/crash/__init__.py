"""Simulated power cuts, and what breaks when a guard is missing."""
