"""Episodes of a run as a LeRobot data set, version 2.1: for people who want data, not tables."""
