"""What people see: every value as a table, in HTML and in plain text. Nothing is decided or contacted here."""

from runbook_lib.views import pictured, show
from runbook_lib.views.table import Link, Row, Table, View

__all__ = ["Link", "Row", "Table", "View", "pictured", "show"]
