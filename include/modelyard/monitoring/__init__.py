"""Monitoring: profiles, drift verdicts and reports."""
