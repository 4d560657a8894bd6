"""Simulators behind the suite contract."""
