"""LIBERO's scenes under other lights and on other backgrounds: suites of our own, pixels only."""
