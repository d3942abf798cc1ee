"""The stages in order for one site, and many sites in one evening."""
