"""SIP and session descriptions: call legs for the application, without the types of the SIP stack."""
