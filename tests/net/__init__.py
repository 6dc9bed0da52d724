"""Tests of sockets and time."""
