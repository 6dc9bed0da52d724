"""SASL mechanisms, each by itself and all against one contract."""
