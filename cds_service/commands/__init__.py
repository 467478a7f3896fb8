"""The commands of `mhcds`, one module each, and how files are assessed and printed. `demo` is in `demo_ehr`."""
