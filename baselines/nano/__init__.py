"""The nano track: every paradigm's published classes at about two million parameters."""
