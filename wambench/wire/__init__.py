"""Policies that live elsewhere: what crosses a socket, within limits that no peer can raise.

Nothing from a peer is unpickled, evaluated, opened as a path or trusted for its size.
"""
