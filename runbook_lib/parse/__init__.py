"""Device text to models: pure, total and linear.

Every parser takes any text and either returns its model or raises ``AnswerNotUnderstood`` with the
beginning of the raw text in ``found``. None of them returns a part of what it read.
"""
