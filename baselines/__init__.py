"""Policies behind the policy contract: learned, scripted and deliberately broken."""
