"""Checkpoints: read without running code, audit every tensor, fill a model or nothing at all."""
