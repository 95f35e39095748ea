"""Who: organisations, persons, their keys and mandates, and money as the custodian bank reports it."""
