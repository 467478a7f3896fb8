"""What somebody at the site must look at: a row an occasion, sent as a signed webhook. No tracker beyond that."""
