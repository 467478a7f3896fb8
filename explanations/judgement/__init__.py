"""What follows from a record: findings, scores, reasons and drafts, as values. No sentence is made here."""
