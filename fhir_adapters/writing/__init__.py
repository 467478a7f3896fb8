"""Resources that we emit: drafts, completed forms, confirmed writes. Valid R4; nothing is written unasked."""
