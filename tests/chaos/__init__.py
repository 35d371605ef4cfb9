"""Seeded random scenarios with faults, and a checker that judges the whole run."""
