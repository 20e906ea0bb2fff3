"""One session for any number of callers, replaced before the server drops it. Never deletes a session."""
