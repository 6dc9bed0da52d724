"""Judges from outside: what TLS scanners say about the configuration that we recommend. ``make conformance``."""
