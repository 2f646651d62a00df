"""The model spec: what an author writes, checked, with every error at its line."""
