"""The lab: one simulated site of Prime Infrastructure on loopback. An island that imports nothing of the rest."""
