"""What a clinician enters, reviews and writes to the chart, each resource once. Nothing is written unconfirmed."""
