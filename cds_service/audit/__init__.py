"""The audit chain as people use it: what may be written, verification, signed heads, export, erasure. No settings."""
