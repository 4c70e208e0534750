"""Watching: what each source usually sends, and the alarm when something stops, drifts or piles up."""
