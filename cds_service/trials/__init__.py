"""Who is in which arm of a trial, by a file with the protocol; no rule is ever part of one."""
