"""A package by name, so that processes that tests start find this folder and not a library's own `tests`."""
