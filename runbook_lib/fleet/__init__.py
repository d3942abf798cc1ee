"""Many sites in one evening: asked, planned, approved and repaired together, with one signed roll-up."""
