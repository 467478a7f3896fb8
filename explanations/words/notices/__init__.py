"""What each topic says, as notices that cards and pages show. Topics have one row each.."""
