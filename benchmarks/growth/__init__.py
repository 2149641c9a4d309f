"""How this queue's speed changes with what it holds, and with time: sizes by powers of ten, and load that goes on."""
