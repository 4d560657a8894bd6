"""What every learned policy is made of: attention over a cache, flow matching, stages, checkpoints.

Modules that the command line needs for listings (``options``, ``stages``) import no torch.
"""
