"""The configuration language: nginx's, read once into frozen, typed settings."""
