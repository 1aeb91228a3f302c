"""Sweeps: one number for each of many interventions on one subject, exact, at a fraction of one forward pass each."""
