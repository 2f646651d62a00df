"""Who answers a request, and what is noted of it."""
