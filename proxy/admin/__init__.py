"""The admin API: the form of its operations, its callers, and the approval of calls by a second person."""
