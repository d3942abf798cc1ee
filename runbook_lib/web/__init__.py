"""The web pages of Prime Infrastructure, driven in a real browser by what a person sees."""
