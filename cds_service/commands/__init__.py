"""What `mhcds` does without a server: files to assessments, and how they are printed."""
