"""What only pages say: what was known, estimates in full, medicines, other questionnaires, trends."""
