"""What happens when somebody misbehaves: tables of faults, each played against the real daemon."""
