"""The audit page: what policies cost, and which published claims hold, in one file."""
