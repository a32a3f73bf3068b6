"""Servers that outputs send to: each a process on loopback, started and ended by the test that needs it."""
