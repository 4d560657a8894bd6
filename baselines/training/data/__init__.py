"""Demonstrations for training: files of three layouts in, one in-memory form, batches out."""
