"""What people see: every value as a table, in HTML and in plain text. Nothing is decided or contacted here."""

from runbook_lib.views import deletion, findings, pictured, standing
from runbook_lib.views.table import Link, Row, Table, View

__all__ = ["Link", "Row", "Table", "View", "deletion", "findings", "pictured", "standing"]
