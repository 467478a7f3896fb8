"""The notices that cards and pages show, and the topics, one row each."""
