"""OpenVLA-OFT: a 7B language model that emits a whole action chunk in one bidirectional pass."""
