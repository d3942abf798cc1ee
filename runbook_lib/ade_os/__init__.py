"""ADE-OS, the command line of the PI servers: what it says, as data, and which of its questions get a yes."""
