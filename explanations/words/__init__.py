"""Sentences for people. Made last, from values; nothing here decides, and no other room compares what is said here."""
