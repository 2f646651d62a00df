"""Other people's protocols, spoken to the same service."""
