"""What is on the wire: PDUs, their shapes and codes, frames and the GSM alphabet. It knows no session. Pure."""
