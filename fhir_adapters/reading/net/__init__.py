"""The net under all readers (R18): what touches self-harm or an instrument and was read by none of them."""
