"""What people see and touch here: phones, the till, the printer. Each screen offers `blueprint(world)`."""
