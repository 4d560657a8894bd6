"""Run many cells in parallel on Ray. Nothing is imported here: Ray takes a second to load."""
