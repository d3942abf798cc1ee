"""The post-mortem: a record, whole or not, read as values and written as HTML, PDF and Markdown."""

from runbook_lib.report.building import post_mortem
from runbook_lib.report.markdown import render_markdown
from runbook_lib.report.page import render_html
from runbook_lib.report.values import PostMortem
from runbook_lib.report.writing import Written, report_in, write_beside, write_into

__all__ = [
    "PostMortem",
    "Written",
    "post_mortem",
    "render_html",
    "render_markdown",
    "report_in",
    "write_beside",
    "write_into",
]
