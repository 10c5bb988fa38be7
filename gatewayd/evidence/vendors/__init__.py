"""What vendors of SMS and instant messages report: how a report is proven and read. All pure."""
