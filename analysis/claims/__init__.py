"""The ledger: every published figure as a row with a verdict that is computed."""
