"""From verdicts to alerts: levels, the life of an alert, and what people are told of it."""
