"""The admin API: one file a topic, each with its routes and the types they take and give."""
