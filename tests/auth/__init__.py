"""Tests of asking who logs in."""
