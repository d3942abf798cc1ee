"""What people read, in their language; what is kept stays in English."""
