"""Mirrors src/gatepost: one test_X.py per X.py; functional stories and the tree's own rules beside it."""
