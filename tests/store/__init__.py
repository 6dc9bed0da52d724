"""What workers share: the contract of tables, the engine, zones and their directory."""
