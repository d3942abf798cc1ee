"""The record of an incident: the journal, the files, the lock; readable without this software."""
