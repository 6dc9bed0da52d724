"""SMTP: its machines and what they are made of."""
