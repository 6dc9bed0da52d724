"""The real daemon in front of real servers: one whole configuration and story per file."""
