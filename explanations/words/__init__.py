"""Sentences for people, made last, from values. Nothing here decides, and no other room compares its sentences."""
