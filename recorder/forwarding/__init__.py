"""Events for other systems: entries of the audit log by syslog, events of calls and cases by webhooks."""
