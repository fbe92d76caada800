"""What `lfm doctor` finds."""

from __future__ import annotations

from lfm_adapter.apps.cli.findings.finding import Finding, Level
from lfm_adapter.apps.cli.findings.openrouter import connection
from lfm_adapter.apps.cli.findings.versions import installation

__all__ = ["Finding", "Level", "connection", "installation"]
