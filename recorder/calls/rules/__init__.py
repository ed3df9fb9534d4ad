"""Pure rules of calls in progress: the call's table, transfers, recording sessions, who is on a call."""
