"""SIP and session descriptions: call legs for the application, with the stack kept out of sight."""
