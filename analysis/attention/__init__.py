"""What action tokens read: captured, drawn and scored."""
