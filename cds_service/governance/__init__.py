"""Pages for the board, the safety officer and operators, behind the hospital's own sign-in. No PHI."""
