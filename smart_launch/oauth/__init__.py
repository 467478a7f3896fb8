"""SMART and OpenID Connect as a confidential client: discovery, scopes, tokens, ID tokens, our own keys.

The only room that talks to an EHR's OAuth endpoints. No page.
"""
