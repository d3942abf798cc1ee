"""What people see: tables, forms, pictures, the report. Nothing is decided or contacted here."""
