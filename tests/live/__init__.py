"""Against programs that are installed only when asked for (`scripts/live-crm`)."""
