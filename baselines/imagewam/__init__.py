"""ImageWAM: an image editor runs once, and an action expert reads its keys and values.

Here is what the editors share: state and stages of an inference (``model``, ``inference``),
packing, losses, policies, replaying. All that is an editor's own is in a package of its own below.
"""
