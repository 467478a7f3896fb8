"""The demo EHR's page: the clinic list, a chart's facts, the cards as an EHR shows them, the app's panel."""
