"""What goes out to the sites' own systems and to contacts: one queue, and a way for each channel."""
