"""Facts of an X.509 certificate, what the operator expects of it, and the verdict. Pure: nothing is contacted."""
