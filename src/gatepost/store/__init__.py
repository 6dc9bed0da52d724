"""What workers share: small tables with expiry, bounded, in one runtime directory."""
