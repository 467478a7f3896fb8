"""What follows from a chart: findings, scores, reasons and drafts, as values. No sentences."""
