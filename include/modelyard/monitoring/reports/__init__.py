"""Reports: one HTML file that opens offline, and the same as JSON."""

from modelyard.monitoring.reports.context import ReportContext
from modelyard.monitoring.reports.report import renew_report, write_report
from modelyard.monitoring.reports.words import headline, sure

__all__ = ["ReportContext", "headline", "renew_report", "sure", "write_report"]
