"""SMS and instant messages by HTTP: vendors, what they are asked, what their answers mean."""
