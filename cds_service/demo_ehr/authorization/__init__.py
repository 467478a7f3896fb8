"""The demo EHR's SMART authorization server. Strict unless a test asks for a deviation; loopback only."""
