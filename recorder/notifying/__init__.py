"""What people are told of: found out, kept until it is seen, and sent by mail."""
