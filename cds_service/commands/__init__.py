"""The commands of `mhcds`, a module each, and how files are assessed and printed. `demo` is in `demo_ehr`."""
