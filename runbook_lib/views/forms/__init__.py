"""Forms in a notebook: a button writes, the next cell reads; no cell waits, and no secret goes through a widget."""

from runbook_lib.views.forms.approval import ApprovalForm
from runbook_lib.views.forms.choosing import ChoiceForm, SiteState
from runbook_lib.views.forms.expecting import ExpectationForm
from runbook_lib.views.forms.overriding import OverrideForm
from runbook_lib.views.forms.production import ProductionForm

__all__ = ["ApprovalForm", "ChoiceForm", "ExpectationForm", "OverrideForm", "ProductionForm", "SiteState"]
