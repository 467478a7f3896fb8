"""Plots as SVG text: geometry and marks. Numbers come from `judgement`, sentences from `words`."""
