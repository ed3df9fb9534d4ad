"""The application: policy, call control, daemon, command line and console; wires the three leaves together."""
