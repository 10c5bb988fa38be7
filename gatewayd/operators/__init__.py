"""What operators see and use, behind admin.py and ctl.py: figures, pages, tables, the client of the admin listener."""
