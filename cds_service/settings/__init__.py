"""Settings from TOML files into frozen values: the deployment, its sites, who may call, the SMART registrations.

The only room that reads configuration. Nothing here acts on a setting.
"""
