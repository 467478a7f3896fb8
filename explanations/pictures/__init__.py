"""Charts as SVG text. Geometry and marks; the numbers come from `judgement`, the sentences from `words`."""
